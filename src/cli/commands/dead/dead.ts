import type { Command } from 'commander';
import type { CommandContext } from '../context.js';
import { addDeadActs } from './acts.js';
import { addDeadEdit } from './edit.js';
import { addDeadReads } from './reads.js';

/** `synap dead …`: what the operators' routes offer, on the command line. */
export function addDead(program: Command, context: CommandContext): void {
  const dead = program
    .command('dead')
    .summary('look at dead letters and deal with them')
    .description(
      'Dead letters are jobs that failed for good and need a person. Needs API_KEY; docs/dead-letters.md has the whole story.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ synap dead groups
  $ synap dead show 019ac0de-6d3c-7a55-9d3f-2f1f3b8f7c11
  $ synap dead replay --fingerprint 3f1c9a0b5d7e2c44 --dry-run`,
    );
  for (const add of [addDeadReads, addDeadEdit, addDeadActs]) add(dead, context);
}
