import { buffer } from 'node:stream/consumers';
import parser from '@asyncapi/parser';

// Reads an AsyncAPI document from its input and writes what is wrong with it: `{isValid, found}`.

const { document, diagnostics } = await new parser.Parser().parse((await buffer(process.stdin)).toString());
const serious = diagnostics.filter(({ severity }) => severity <= 1);
const found = serious.map(({ message, path }) => `${path.join('.')}: ${message}`);
process.stdout.write(JSON.stringify({ isValid: document !== undefined, found }));
