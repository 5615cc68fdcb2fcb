import type { Browser, BrowserContext, Page } from 'playwright-core';

/** An example in a tab, signed in as a demo user. */
export interface ExamplePage {
  readonly page: Page;
  readonly faults: string[];
  /** WebSockets of this tab that are open. */
  sockets(): number;
}

export async function newContext(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, acceptDownloads: true });
  context.setDefaultTimeout(15_000);
  return context;
}

export async function openExample(context: BrowserContext, url: string, userId: string): Promise<ExamplePage> {
  const page = await context.newPage();
  const faults: string[] = [];
  let open = 0;
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  page.on('websocket', (socket) => {
    open += 1;
    socket.on('close', () => (open -= 1));
  });
  await page.goto(url);
  const isSignedIn = page.locator('.connection');
  await page.locator('.connection, #demo-user').first().waitFor();
  if (!(await isSignedIn.isVisible())) {
    await page.getByLabel('User id').fill(userId);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  await connection(page, 'connected');
  return { page, faults, sockets: () => open };
}

export const connection = (page: Page, state: string): Promise<void> =>
  page.locator(`.connection[data-state="${state}"]`).waitFor();

export async function ask(page: Page, question: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(question);
  await page.keyboard.press('Enter');
  await page.locator('.message.user').getByText(question, { exact: true }).waitFor();
}

/** The last answer, once it is in this state and has this text in it. */
export async function answer(page: Page, state: 'streaming' | 'stored' | 'failed', text: string): Promise<string> {
  const shown = page
    .locator(`.message.assistant[data-state="${state}"] .message-text`)
    .filter({ hasText: text })
    .last();
  await shown.waitFor();
  return (await shown.textContent()) ?? '';
}

/** Each question and answer that a page shows, from the top. */
export const conversation = (page: Page): Promise<string[]> => page.locator('.message-text').allTextContents();
