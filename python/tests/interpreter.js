// An interpreter of JavaScript that speaks the protocol of docs/interpreters.md, without forks.
const fs = require('fs');
const vm = require('vm');
const [SUPERVISOR, WORKER] = [3, 4];

function receive(length) {
    const data = Buffer.alloc(length);
    for (let done = 0; done < length;) {
        const count = fs.readSync(WORKER, data, done, length - done);
        if (count === 0) process.exit(0);
        done += count;
    }
    return data;
}

function send(channel, message) {
    const body = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length);
    fs.writeSync(channel, Buffer.concat([head, body]));
}

const world = vm.createContext({ require, process, console });
send(SUPERVISOR, { warm: true, forks: false });
for (;;) {
    const message = JSON.parse(receive(receive(4).readUInt32LE()));
    try {
        const value = vm.runInContext(message.code, world);
        send(WORKER, message.do === 'eval' ? { value } : { done: true });
    } catch (error) {
        send(WORKER, { error: error.name, message: error.message, traceback: error.stack });
    }
}
