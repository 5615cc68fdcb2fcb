import { answer, progress } from './answers.ts';

// What the tests of `Program` start and ask.

const { promise: credited, resolve } = Promise.withResolvers<number>();

answer({
  double: (n: number) => n * 2,
  fail: () => Promise.reject(new Error('no disk')),
  work: () => progress(7),
  wait: () => credited,
  credit: resolve,
  environment: () => Object.keys(process.env).toSorted(),
  end: () => process.exit(3),
});
