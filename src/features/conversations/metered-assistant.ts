import type { Metrics } from '../../platform/metrics.js';
import type { Assistant } from './assistant.js';

/** Counts and times what is asked of an assistant, whichever it is. */
export function meterAssistant(inner: Assistant, metrics: Metrics): Assistant {
  const assistant = inner.name;
  return {
    name: assistant,
    async answer(question) {
      const stop = metrics.aiRequestDuration.startTimer({ assistant });
      try {
        const answer = await inner.answer(question);
        metrics.aiRequests.inc({ assistant, status: 'success' });
        metrics.aiTokens.inc({ assistant, direction: 'input' }, answer.inputTokens);
        metrics.aiTokens.inc({ assistant, direction: 'output' }, answer.outputTokens);
        return answer;
      } catch (thrown) {
        metrics.aiRequests.inc({ assistant, status: question.signal.aborted ? 'aborted' : 'error' });
        throw thrown;
      } finally {
        stop();
      }
    },
  };
}
