/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out: it does so when it cannot see them (a
 * registry that mirrors only what its users run) or did not install them, and then `npm ci` refuses the lock file everywhere.
 * An entry made here has a version and its platform, which is all that `npm ci` needs to pass over it. `npm run lock` runs this.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const platforms = {
  darwin: 'darwin',
  linux: 'linux',
  win32: 'win32',
  windows: 'win32',
  android: 'android',
  freebsd: 'freebsd',
};
const otherPlatforms = ['openbsd', 'netbsd', 'sunos', 'aix', 'openharmony'];
const processors = ['x64', 'arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];
const libraries = { gnu: 'glibc', musl: 'musl' };

function describePlatform(name) {
  const words = name.split(/[/-]/);
  const os = words.map((word) => platforms[word] ?? otherPlatforms.find((other) => other === word)).find(Boolean);
  const cpu = words.map((word) => processors.find((processor) => processor === word)).find(Boolean);
  const libc = words.map((word) => libraries[word]).find(Boolean);
  return { ...(cpu && { cpu: [cpu] }), ...(os && { os: [os] }), ...(os === 'linux' && libc && { libc: [libc] }) };
}

/** As Node looks packages up: nested first, then outwards. */
function isPresent(packages, from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined) return true;
    if (folder === '') return false;
  }
}

const file = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = {};
for (const [folder, parent] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
    if (isPresent(lock.packages, folder, name)) continue;
    const version = range.replace(/^[~^]/, '');
    added[`node_modules/${name}`] = {
      version,
      ...(parent.dev && { dev: true }),
      optional: true,
      ...describePlatform(name),
    };
  }
}
const packages = Object.entries({ ...lock.packages, ...added }).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = Object.fromEntries(packages);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${Object.keys(added).length} entries added\n`);
