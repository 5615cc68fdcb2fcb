import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { root } from '../built.ts';
import { limits } from '../limits.ts';
import { formatTable } from './format.ts';
import { writeAims, writeFigures, writeUsage } from './markdown.ts';
import type { Report } from './report.ts';
import { readReport } from './write.ts';

/** `<!-- bench: aims -->` … `<!-- /bench -->`: what stands between comes from the committed reports. */
const marked = /<!-- bench: ([\w ./,-]+) -->[\s\S]*?<!-- \/bench -->/g;
const documents = ['README.md', 'docs/performance.md', 'docs/scaling.md'];

/** No figure enters a document except from a report. */
export async function writeDocuments(results: string): Promise<void> {
  const reports = {
    full: await readReport(path.join(results, 'full')),
    soak: await readReport(path.join(results, 'soak')),
  };
  for (const name of documents) {
    const file = path.join(root, name);
    const content = await readFile(file, 'utf8');
    const filled = fillMarked(content, reports);
    if (filled !== content) await writeFile(file, filled);
  }
}

export interface Reports {
  readonly full: Report | undefined;
  readonly soak: Report | undefined;
}

/** What cannot be filled yet stays as it is. */
export function fillMarked(content: string, reports: Reports): string {
  return content.replace(marked, (whole, wish: string) => {
    const filling = fill(wish.trim(), reports);
    return filling === undefined ? whole : `<!-- bench: ${wish} -->\n\n${filling}\n\n<!-- /bench -->`;
  });
}

/** `aims full`, `aims soak`, `figures full jobs/dbos,jobs/pg-boss`, `tables full/profile`, `usage full/jobs`, `notes soak/filled Costs`, `made full`. */
function fill(wish: string, reports: Reports): string | undefined {
  const [what = '', where = '', ids = ''] = wish.split(' ');
  const [kind, measure] = where.split('/');
  const report = kind === 'soak' ? reports.soak : reports.full;
  if (report === undefined) return undefined;
  const measured = report.measures.find(({ name }) => name === measure)?.report;
  switch (what) {
    case 'aims':
      return writeAims(report, limits);
    case 'figures':
      return writeFigures(report, limits, ids.split(','));
    case 'made': {
      const { machine, versions, commit, at } = report;
      return `${at.slice(0, 10)} at ${commit}: ${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB; Node ${versions['node'] ?? ''}, PostgreSQL ${versions['postgres'] ?? ''} with fsync (8 KB in ${machine.fsyncUs} µs), Redis ${versions['redis'] ?? ''}.`;
    }
    case 'tables':
      return measured?.tables
        ?.map(({ title, head, rows }) => `**${title}**\n\n${formatTable(head, rows)}`)
        .join('\n\n');
    case 'usage':
      return measured && writeUsage(measured.usage).join('\n\n');
    // Those that begin with the word.
    case 'notes':
      return measured?.notes.filter((note) => note.startsWith(ids)).join('\n\n');
    default:
      throw new Error(`a document asks for ${wish}, which no report has`);
  }
}
