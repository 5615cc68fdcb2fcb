import type { Command } from 'commander';
import { z } from 'zod';
import { CliError } from '../../cli-error.js';
import { callAdmin } from '../../http.js';
import { outputOf, settingsOf, type CommandContext } from '../context.js';
import { readJson } from '../json-argument.js';

const answerSchema = z.object({ jobId: z.string(), correction: z.unknown() });

export function addDeadEdit(dead: Command, context: CommandContext): void {
  dead
    .command('edit')
    .summary('correct the payload that the next replay gets')
    .description(
      "Keeps a corrected payload for the next replay. The event itself is never changed; the type's schema must accept the correction.",
    )
    .argument('<job>', 'its id')
    .argument('[json]', 'the whole payload as JSON; @FILE reads a file, - reads standard input')
    .option('--remove', 'take the correction away')
    .addHelpText(
      'after',
      `
Examples:
  $ synap dead show JOB --json | jq .payload > payload.json
  $ synap dead edit JOB @payload.json
  $ synap dead replay JOB`,
    )
    .action(async (job: string, json: string | undefined, options: { readonly remove?: boolean }, command: Command) => {
      if ((json === undefined) !== (options.remove === true)) {
        throw new CliError(
          'no_payload',
          'Name either a payload or --remove.',
          `synap dead edit ${job} '{…}', @FILE, - or --remove`,
        );
      }
      const data = json === undefined ? null : await readJson(json, context);
      const path = `/dead-letters/${encodeURIComponent(job)}/payload`;
      const settings = await settingsOf(context, command);
      const answer = await callAdmin(settings, { method: 'PUT', path, body: { data } }, answerSchema);
      const text =
        data === null ? 'The correction is removed.' : `The next replay gets this payload: synap dead replay ${job}`;
      outputOf(context, command).print(answer, text);
    });
}
