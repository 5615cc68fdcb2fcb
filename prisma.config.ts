import { defineConfig } from 'prisma/config';

// `prisma generate` loads no engine here (the client has none, and migrations run through src/platform/migrate.ts), but it
// refuses to start unless this variable names an existing file. Without it, it would try to download one.
process.env['PRISMA_SCHEMA_ENGINE_BINARY'] ??= process.execPath;

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env['DATABASE_URL'] ?? 'postgresql://127.0.0.1:1/unset' },
});
