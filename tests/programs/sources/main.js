const os = require('os'), fs = require('fs'), path = require('path');
const { execSync, fork } = require('child_process');
const { Worker } = require('worker_threads');
const http = require('http');

if (process.send) {
  process.send('forked');
  process.disconnect();
} else {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'one-'));
  fs.writeFileSync('file', 'moved');
  fs.renameSync('file', path.join(directory, 'file'));
  console.log(fs.readFileSync(path.join(directory, 'file'), 'utf8'));
  fs.rmSync(directory, { recursive: true });
  const lo = Object.keys(os.networkInterfaces()).includes('lo');
  console.log(lo, os.userInfo().username.length > 0, os.cpus().length > 0);
  console.log(execSync('echo executed').toString().trim());
  const step = [
    (next) => {
      const work = 'require("worker_threads").parentPort.postMessage("worked")';
      new Worker(work, { eval: true }).on('message', (said) => next(said));
    },
    (next) => fork(__filename).on('message', (said) => next(said)),
    (next) => {
      const server = http.createServer((_, answer) => answer.end('served'));
      server.listen(0, 'localhost', () =>
        http.get({ host: 'localhost', port: server.address().port, agent: false }, (answer) => {
          answer.on('data', (said) => next(said.toString()));
          server.close();
        }));
    },
  ];
  const run = () => step.length && step.shift()((said) => { console.log(said); run(); });
  run();
}
