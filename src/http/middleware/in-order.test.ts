import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { inOrder } from './in-order.js';

const seen: string[] = [];
const note =
  (name: string): RequestHandler =>
  (_req, _res, next) => {
    seen.push(name);
    next();
  };
const reject: RequestHandler = () => Promise.reject(new Error('later'));
const throwNow: RequestHandler = () => {
  throw new Error('now');
};
const tell: ErrorRequestHandler = (thrown: Error, _req, res, _next) => {
  res.status(500).send(thrown.message);
};

let server: Server;
beforeAll(async () => {
  const app = express();
  app.get('/whole', inOrder([note('a'), note('b')]), (_req, res) => void res.send('reached'));
  app.get('/now', inOrder([note('a'), throwNow, note('b')]), note('after'));
  app.get('/later', inOrder([reject, note('b')]), note('after'));
  app.use(tell);
  server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const get = async (path: string): Promise<string> => {
  seen.length = 0;
  return (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`)).text();
};

test('handlers in order run one after the other, and then whatever comes after them', async () => {
  expect(await get('/whole')).toBe('reached');
  expect(seen).toEqual(['a', 'b']);
});

test('what one throws, at once or later, ends the call there and reaches the handler of errors', async () => {
  expect(await get('/now')).toBe('now');
  expect(seen).toEqual(['a']);
  expect(await get('/later')).toBe('later');
  expect(seen).toEqual([]);
});
