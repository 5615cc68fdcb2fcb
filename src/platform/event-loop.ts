import { monitorEventLoopDelay } from 'node:perf_hooks';

/** What stands between the loop and its work, by which overload is seen. */
export interface LoopDelay {
  /** The mean delay since it was last read. */
  readMs(): number;
  stop(): void;
}

const resolutionMs = 10;

export function measureLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return {
    readMs() {
      const { count, mean } = histogram;
      histogram.reset();
      // It measures from tick to tick, and a tick comes every `resolutionMs` at best.
      return count === 0 ? 0 : Math.max(0, mean / 1e6 - resolutionMs);
    },
    stop: () => void histogram.disable(),
  };
}
