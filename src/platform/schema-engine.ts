import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  DriverAdapterError,
  bindMigrationAwareSqlAdapterFactory,
  type ErrorCapturingSqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type * as engineModule from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { SynapError, toError } from './errors.js';
import { summarizeEngineLog } from './schema-engine-log.js';

export interface Migration {
  readonly name: string;
  readonly script: string;
}

type EngineModule = typeof engineModule;
// Node's types leave this global to the DOM's, which a server must not have.
declare const WebAssembly: {
  instantiate(
    bytes: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
};

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>;

/**
 * Applies what is missing with Prisma's own schema engine in its WebAssembly form: it needs no native binary, so it runs
 * where nothing can be downloaded, and it keeps `_prisma_migrations` as the Prisma CLI expects it.
 * @returns the names of the migrations it applied.
 */
export async function runSchemaEngine(
  databaseUrl: string,
  migrationsDir: string,
  migrations: readonly Migration[],
): Promise<string[]> {
  const adapters = new MigrationAdapterFactory(databaseUrl);
  const factory = bindMigrationAwareSqlAdapterFactory(adapters);
  const { SchemaEngine } = await loadEngine();
  const engine = await SchemaEngine.new({ datamodels: undefined }, () => undefined, factory);
  try {
    const output = await engine.applyMigrations({
      migrationsList: {
        baseDir: migrationsDir,
        lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
        shadowDbInitScript: '',
        migrationDirectories: migrations.map(({ name, script }) => ({
          path: name,
          migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: script } },
        })),
      },
      filters: { externalTables: [], externalEnums: [] },
    });
    return output.appliedMigrationNames;
  } catch (thrown) {
    throw new SynapError('start_failed', describeFailure(thrown, factory), { cause: thrown });
  } finally {
    engine.free();
    await adapters.close();
  }
}

class MigrationAdapterFactory extends PrismaPg {
  readonly #opened: Adapter[] = [];

  constructor(databaseUrl: string) {
    super({ connectionString: databaseUrl, max: 1, connectionTimeoutMillis: 10_000 });
  }

  override async connect(): Promise<Adapter> {
    const adapter = await super.connect();
    // The stock method splits the script at every ";", also inside the body of a function: Postgres takes it whole.
    adapter.executeScript = async (script) => {
      await adapter.underlyingDriver().query(script).catch(rethrowForEngine);
    };
    this.#opened.push(adapter);
    return adapter;
  }

  /** The engine leaves its connections open. */
  async close(): Promise<void> {
    await Promise.all(this.#opened.map((adapter) => adapter.underlyingDriver().end()));
  }
}

/** In this form the engine records what Postgres said with the failed migration, instead of "external connector error". */
function rethrowForEngine(thrown: unknown): never {
  if (!(thrown instanceof pg.DatabaseError)) throw thrown;
  const { code = '', severity = '', message, detail, column, hint } = thrown;
  throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
}

let panicMessage = '';
let loading: Promise<EngineModule> | undefined;

/** Once per process: the module keeps its WebAssembly instance in a variable of its own, and a second would replace it. */
function loadEngine(): Promise<EngineModule> {
  loading ??= instantiateEngine();
  return loading;
}

async function instantiateEngine(): Promise<EngineModule> {
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = await readFile(path.join(path.dirname(entry), 'schema_engine_bg.wasm'));
  const bindings: EngineModule = await import('@prisma/schema-engine-wasm/schema_engine_bg');
  // The engine calls this before it traps; without it a panic is a bare "unreachable".
  Reflect.set(globalThis, 'PRISMA_WASM_PANIC_REGISTRY', {
    set_message: (message: string) => void (panicMessage = message),
  });
  const { instance } = await WebAssembly.instantiate(bytes, { './schema_engine_bg.js': withQuietTimers(bindings) });
  bindings.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return bindings;
}

/** The engine never clears the 10 s timer of its own lock; it must not keep a process alive that is done. */
function withQuietTimers(bindings: EngineModule): Record<string, unknown> {
  const imports = Object.entries(bindings).map(([name, value]): [string, unknown] => {
    if (!name.startsWith('__wbg_setTimeout_')) return [name, value];
    return [name, (callback: () => void, delayMs: number) => setTimeout(callback, delayMs).unref()];
  });
  return Object.fromEntries(imports);
}

/** An error of the connection travels as a number into the factory's registry. */
function describeFailure(thrown: unknown, factory: ErrorCapturingSqlMigrationAwareDriverAdapterFactory): string {
  const { message } = toError(thrown);
  const external = /External error id#(\d+)/.exec(message)?.[1];
  if (external !== undefined)
    return `migration failed: ${toError(factory.errorRegistry.consumeError(Number(external))?.error).message}`;
  const name = /migration_name="([^"]+)"/.exec(message)?.[1] ?? '';
  return `migration ${name} failed: ${panicMessage === '' ? summarizeEngineLog(message) : panicMessage}`;
}
