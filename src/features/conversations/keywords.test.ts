import { expect, test } from '@jest/globals';
import { parseQuestion } from './keywords.js';

test.each([
  [
    'What do my notes say about the Budget for 2027?',
    { keywords: ['say', 'budget', '2027'], wantsNotes: true, wantsTasks: false },
  ],
  ['Show me my open tasks', { keywords: [], wantsNotes: false, wantsTasks: true }],
  ['meetings, meeting!', { keywords: ['meeting'], wantsNotes: false, wantsTasks: false }],
  ['glass', { keywords: ['glass'], wantsNotes: false, wantsTasks: false }],
  ['Wo ist die Überweisung?', { keywords: ['wo', 'ist', 'die', 'überweisung'], wantsNotes: false, wantsTasks: false }],
  ['Hello!', { keywords: [], wantsNotes: false, wantsTasks: false }],
  ['', { keywords: [], wantsNotes: false, wantsTasks: false }],
])('%j asks for %j', (text, search) => {
  expect(parseQuestion(text)).toEqual(search);
});

test('a long question is searched for by eight words', () => {
  expect(parseQuestion(Array.from({ length: 100 }, (_, n) => `word${n}`).join(' ')).keywords).toHaveLength(8);
});
