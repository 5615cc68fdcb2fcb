import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { limits } from '../limits.ts';
import { writeMarkdown } from './markdown.ts';
import { drawPlot } from './plot.ts';
import type { Report } from './report.ts';

/** report.md, report.json and a drawing for each plot; plots of an earlier run go. */
export async function writeReport(directory: string, report: Report): Promise<void> {
  const plots = path.join(directory, 'plots');
  await rm(plots, { recursive: true, force: true });
  await mkdir(plots, { recursive: true });
  for (const { report: measured } of report.measures) {
    for (const plot of measured?.plots ?? []) await writeFile(path.join(plots, `${plot.name}.svg`), drawPlot(plot));
    for (const { name, svg } of measured?.graphics ?? []) await writeFile(path.join(plots, `${name}.svg`), svg);
  }
  await writeJson(path.join(directory, 'report.json'), report);
  await writeFile(path.join(directory, 'report.md'), writeMarkdown(report, limits));
}

export async function readReport(directory: string): Promise<Report | undefined> {
  return (await readJson(path.join(directory, 'report.json'))) as Report | undefined;
}

/** Undefined: there is no such file. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
    throw thrown;
  }
}

export async function writeJson(file: string, content: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${onOneLine(JSON.stringify(content, undefined, 1))}\n`);
}

/** Samples are thousands of numbers. */
const onOneLine = (json: string): string =>
  json.replaceAll(/\[\n\s*(-?\d[^[\]{}"]*?)\n\s*\]/g, (_, numbers: string) => `[${numbers.replaceAll(/\s+/g, '')}]`);
