/** V8's `.cpuprofile`: nodes of a call tree, and which of them each sample was taken in. Times in µs on the monotonic clock. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** A call tree in which what was called from the same place is one. */
export interface Frame {
  readonly name: string;
  readonly place: string;
  readonly owner: string;
  readonly selfUs: number;
  readonly totalUs: number;
  readonly children: readonly Frame[];
}

interface Growing {
  readonly name: string;
  readonly place: string;
  readonly owner: string;
  selfUs: number;
  readonly children: Map<string, Growing>;
}

/** Between two times of the profile's own clock; what it did while it had nothing to do is left out. */
export function foldProfile(profile: CpuProfile, from = profile.startTime, to = profile.endTime): Frame {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const places = new Map<number, Growing>();
  const root: Growing = { name: 'all', place: '', owner: '', selfUs: 0, children: new Map() };
  const placeOf = (id: number): Growing => {
    const known = places.get(id);
    if (known !== undefined) return known;
    const parent = parents.get(id);
    const node = byId.get(id);
    const place = parent === undefined || node === undefined ? root : childOf(placeOf(parent), node.callFrame);
    places.set(id, place);
    return place;
  };
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const lasted = profile.timeDeltas[index + 1] ?? 0;
    at += profile.timeDeltas[index] ?? 0;
    if (at < from || at > to || byId.get(id)?.callFrame.functionName === '(idle)') continue;
    placeOf(id).selfUs += Math.max(0, lasted);
  }
  return settle(root);
}

function childOf(parent: Growing, frame: CallFrame): Growing {
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
  const place = frame.url === '' ? '' : `${shorten(frame.url)}:${frame.lineNumber + 1}`;
  const key = `${name} ${place}`;
  const known = parent.children.get(key);
  if (known !== undefined) return known;
  const child: Growing = { name, place, owner: ownerOf(frame), selfUs: 0, children: new Map() };
  parent.children.set(key, child);
  return child;
}

function settle(frame: Growing): Frame {
  const children = [...frame.children.values()].map((child) => settle(child)).filter(({ totalUs }) => totalUs > 0);
  return {
    name: frame.name,
    place: frame.place,
    owner: frame.owner,
    selfUs: frame.selfUs,
    totalUs: frame.selfUs + children.reduce((sum, { totalUs }) => sum + totalUs, 0),
    children: children.toSorted((a, b) => b.totalUs - a.totalUs),
  };
}

/** Calls into the kernel: what a flush of a socket or of a log costs. */
const writes = new Set(['writeBuffer', 'writev', 'writeUtf8String', 'writeLatin1String', 'writeString']);

/** Whose code it is: `src/execution`, a package's name, `node`, or what has none: the engine, its collector, the kernel's writes. */
export function ownerOf({ functionName, url }: CallFrame): string {
  if (functionName === '(garbage collector)') return 'garbage collector';
  if (writes.has(functionName)) return 'system calls: write';
  if (url === '' || functionName === '(program)') return 'engine';
  if (url.startsWith('node:')) return 'node';
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  if (inPackage?.[1] !== undefined) return inPackage[1];
  const inSource = /\/dist\/([^/]+)\//.exec(url);
  return inSource?.[1] === undefined ? 'the handlers' : `src/${inSource[1]}`;
}

const shorten = (url: string): string =>
  url
    .replace(/^file:\/\//, '')
    .replace(/.*\/node_modules\//, '')
    .replace(/.*\/dist\//, 'src/')
    .replace(/.*\/\.synap\/bench\//, '');

/** Time in each owner's own code, the most first. */
export function timeByOwner(frame: Frame): Map<string, number> {
  const times = new Map<string, number>();
  const add = ({ owner, selfUs, children }: Frame): void => {
    if (selfUs > 0) times.set(owner, (times.get(owner) ?? 0) + selfUs);
    for (const child of children) add(child);
  };
  add(frame);
  return new Map([...times].toSorted(([, a], [, b]) => b - a));
}
