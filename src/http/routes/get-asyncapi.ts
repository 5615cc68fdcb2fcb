import { createAsyncApi } from '../../realtime/asyncapi.js';
import type { Endpoint } from '../endpoint.js';

/** The realtime contract, for people and for generators of clients. */
export function getAsyncApi(version: string): Endpoint {
  const document = createAsyncApi(version);
  return {
    method: 'get',
    path: '/asyncapi.json',
    access: 'anybody',
    handle(_req, res) {
      res.json(document);
    },
  };
}
