import { nextArrivalMs, pick, seededRandom } from '../random.ts';

export type Kind =
  | 'work'
  | 'slow'
  | 'heavy'
  | 'delayed'
  | 'distant'
  | 'ordered'
  | 'throw'
  | 'refuse'
  | 'loop'
  | 'exit'
  | 'hog'
  | 'flaky'
  | 'curable'
  | 'endless'
  | 'huge'
  | 'tooHuge';

/** What is sent, how fast and for how long. */
export interface Load {
  readonly perSecond: number;
  readonly seconds: number;
  /** Weights; `{ work: 1 }` where left out. */
  readonly mix?: Partial<Record<Kind, number>>;
  /** Kinds that are sent exactly so often, spread over the time, beside the mix. */
  readonly extra?: Partial<Record<Kind, number>>;
  /** Each request is sent so many times at once, all under one key. */
  readonly copies?: number;
  readonly sleepMs?: number;
  readonly users?: number;
  /** First as many as can be borne, then more than that; `perSecond` is what comes of it. */
  readonly surge?: Surge;
}

export interface Surge {
  /** Requests a second to begin with. */
  readonly from: number;
  /** How many times what was borne is sent, for `seconds` of the load; and how each burst that looks for it grows. */
  readonly factor: number;
  readonly burstSeconds: number;
}

export interface ClientSpec extends Load {
  readonly seed: number;
  /** Begins every ref and user id of this scenario. */
  readonly prefix: string;
  readonly apiUrls: readonly string[];
  readonly tokens: Readonly<Record<string, string>>;
  readonly log: string;
  /** An attempt that has no answer by then is given up, and made again. */
  readonly timeoutMs: number;
  /** How long a request is repeated, from its first attempt, before its fate is called unknown. */
  readonly persistMs: number;
}

export interface Planned {
  readonly atMs: number;
  readonly ref: string;
  readonly userId: string;
  readonly kind: Kind;
  /** Requests of one lane are sent one after the other. */
  readonly lane?: string;
  readonly body: {
    readonly type: string;
    readonly requestId: string;
    readonly data: object;
    readonly priority?: string;
    readonly delayMs?: number;
  };
}

/** Whether a refusal says for sure that nothing of the request was done: it was turned away at the door. */
export const isShed = (code: string | undefined): boolean => code === 'overloaded' || code === 'rate_limited';

const lanesPerUser = 2;
/** A queue takes what is due within a minute; for the first few seconds this waits in Postgres alone. */
const distantMs = 64_000;
/** Enough that calls which wait would show in the memory of who holds them. */
const heavyFiller = 'x'.repeat(16 * 1024);

/** The same seed gives the same requests at the same moments. */
export function planRequests(spec: ClientSpec): Planned[] {
  const random = seededRandom(spec.seed);
  const users = Object.keys(spec.tokens);
  const mix = Object.entries(spec.mix ?? { work: 1 }).flatMap(([kind, weight]) =>
    Array.from({ length: weight }, () => kind as Kind),
  );
  const kinds: { atMs: number; kind: Kind }[] = [];
  for (
    let atMs = nextArrivalMs(random, spec.perSecond);
    atMs < spec.seconds * 1_000;
    atMs += nextArrivalMs(random, spec.perSecond)
  )
    kinds.push({ atMs, kind: pick(random, mix) });
  for (const [kind, count] of Object.entries(spec.extra ?? {}))
    for (let nth = 0; nth < count; nth += 1) kinds.push({ atMs: random() * spec.seconds * 1_000, kind: kind as Kind });
  const places = new Map<string, number>();
  return kinds
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(({ atMs, kind }, index) => {
      const ref = `${spec.prefix}-r${index}`;
      const userId = pick(random, users);
      if (kind !== 'ordered') return { atMs, ref, userId, kind, body: bodyOf(kind, ref, spec, random) };
      const lane = `${userId}-l${Math.floor(random() * lanesPerUser)}`;
      const n = (places.get(lane) ?? 0) + 1;
      places.set(lane, n);
      return {
        atMs,
        ref,
        userId,
        kind,
        lane,
        body: { type: 'fault.ordered.requested', requestId: ref, data: { ref, lane, n } },
      };
    });
}

function bodyOf(
  kind: Exclude<Kind, 'ordered'>,
  ref: string,
  { sleepMs = 300 }: Load,
  random: () => number,
): Planned['body'] {
  const of = (type: string, data: object) => ({
    type: `fault.${type}.requested`,
    requestId: ref,
    data: { ref, ...data },
  });
  switch (kind) {
    case 'work':
      return { ...of('work', {}), priority: pick(random, ['high', 'normal', 'normal', 'low']) };
    case 'slow':
      return of('work', { sleepMs: Math.round(sleepMs * (0.5 + random())) });
    case 'heavy':
      return of('work', { filler: heavyFiller });
    case 'delayed':
      return { ...of('work', {}), delayMs: Math.round(300 + random() * 2_700) };
    case 'distant':
      return { ...of('work', {}), delayMs: Math.round(distantMs + random() * 4_000) };
    case 'huge':
      return of('work', { filler: 'x'.repeat(2 * 1024 * 1024) });
    case 'tooHuge':
      return of('work', { filler: 'x'.repeat(11 * 1024 * 1024) });
    case 'throw':
    case 'refuse':
    case 'loop':
    case 'exit':
    case 'hog':
    case 'flaky':
    case 'curable':
    case 'endless':
      return of('poison', { how: kind });
  }
}
