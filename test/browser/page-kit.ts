import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';

/** A signed-in page, with what its console and its errors said. */
export interface OpenPage {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly faults: string[];
}

export async function openPage(browser: Browser, url: string): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, acceptDownloads: true });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  // A blocked script or style is said here, and nowhere else.
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(url);
  return { page, context, faults };
}

export async function signIn(page: Page, userId: string): Promise<void> {
  await page.getByLabel('User id').fill(userId);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await connected(page);
}

export const connected = (page: Page): Promise<void> => page.locator('#connection[data-state="connected"]').waitFor();

export async function openSection(page: Page, name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name }).click();
}

/** The feed's entry of this type, once it has arrived. */
export async function entry(page: Page, type: string): Promise<Locator> {
  const found = page.locator(`#feed [data-type="${type}"]`);
  await found.first().waitFor();
  return found;
}

export async function addTask(page: Page, title: string): Promise<void> {
  await page.getByLabel('What is to be done').fill(title);
  await page.getByRole('button', { name: 'Add task' }).click();
  await page.getByRole('list', { name: 'Tasks' }).getByText(title).waitFor();
}
