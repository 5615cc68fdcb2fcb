import { z } from 'zod';
import type { Tokens } from '../../platform/tokens.js';
import { isStorableText } from '../../platform/text.js';
import type { Endpoint } from '../endpoint.js';
import { parseInput } from '../input.js';

const bodySchema = z.strictObject({
  userId: z.string().min(1).max(256).refine(isStorableText, 'contains U+0000 or a lone surrogate'),
});

const expiresInSeconds = 12 * 3_600;

/** Signs anybody in as anybody, for the page's demo. It exists outside production only. */
export function postDevToken(tokens: Tokens): Endpoint {
  return {
    method: 'post',
    path: '/v1/dev/token',
    access: 'anybody',
    takesJson: true,
    async handle(req, res) {
      const { userId } = parseInput(bodySchema, req.body);
      res.json({ userId, token: await tokens.mint(userId, { expiresInSeconds }), expiresInSeconds });
    },
  };
}
