import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';

export interface TemplateOptions {
  readonly databaseUrl: string;
  readonly migrationsDir: string;
  readonly migrate: (databaseUrl: string) => Promise<unknown>;
}

/**
 * Makes a migrated, empty database to clone, and returns its name. It is named after what is in the migrations: a server that
 * outlives the run has it already.
 */
export async function prepareTemplate({ databaseUrl, migrationsDir, migrate }: TemplateOptions): Promise<string> {
  const template = `synap_template_${await hashMigrations(migrationsDir)}`;
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    // Two runs against one server must not make it at once.
    await client.query('SELECT pg_advisory_lock(7311)');
    const found = await client.query<{ datallowconn: boolean }>(
      'SELECT datallowconn FROM pg_database WHERE datname = $1',
      [template],
    );
    // It is closed to connections when it is complete, and not before.
    if (found.rows[0]?.datallowconn === false) return template;
    await client.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${template}`);
    const url = new URL(databaseUrl);
    url.pathname = `/${template}`;
    await migrate(url.href);
    await client.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
    return template;
  } finally {
    await client.end();
  }
}

async function hashMigrations(migrationsDir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of (await readdir(migrationsDir)).toSorted()) {
    const script = await readFile(path.join(migrationsDir, name, 'migration.sql')).catch(() => '');
    hash.update(name).update(script);
  }
  return hash.digest('hex').slice(0, 12);
}
