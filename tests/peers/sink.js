// An SMS centre of node-smpp, for the journeys: it lives through whatever the daemon does, and counts what it got.
//
// It takes orders, one JSON object a line on its standard input, and answers each by one line:
//   {"do": "set", ...}              changes how it behaves, see `behaviour`
//   {"do": "wait", "count": n}      answers once n submit_sm have come in all
//   {"do": "wait_answered", "count": n}   ... once n deliver_sm of ours were answered by ESME_ROK
//   {"do": "report"}                everything it got, in order, and its counters
//   {"do": "release"}               answers what `hold` kept
//   {"do": "drop"}                  cuts every connection, without a word
//   {"do": "close"}, {"do": "listen"}   stops listening and cuts every connection; listens again at the same port
//   {"do": "deliver", ...}          sends one deliver_sm with these fields
'use strict';

const path = require('path');
const readline = require('readline');
const smpp = require(path.join(__dirname, '..', '..', '.peers', 'node_modules', 'smpp'));

const behaviour = {
  delay: 0,          // milliseconds before each answer
  hold: false,       // keep answers until `release`
  silent: 0,         // the next n submit_sm are taken and never answered
  throttle: 0,       // the next n submit_sm are answered by ESME_RTHROTTLED
  status: {},        // command_status by destination address
  receipts: false,   // send a receipt for what was accepted
  bind: 0,           // command_status of the next binds
  password: null,    // what a bind must say
};

const got = [];            // every submit_sm: [to, part, parts, data_coding, text, status or null]
const counters = { binds: 0, receipts: 0, answered: 0, refused: 0, faults: [] };
const held = [];           // answers kept by `hold`
const owed = [];           // receipts for which nobody was bound
const waiting = [];        // orders that wait: [() => boolean, id]
let ids = 0;
let port = 0;
let server = null;

function say(id, answer) {
  process.stdout.write(JSON.stringify({ id, ...answer }) + '\n');
}

function look() {
  for (let n = waiting.length - 1; n >= 0; n -= 1) {
    const [come, id] = waiting[n];
    if (come()) {
      waiting.splice(n, 1);
      say(id, { total: got.length });
    }
  }
}

// The concatenation header of a part (3GPP TS 23.040 section 9.2.3.24.1 and .8): [part, parts].
function partOf(udh) {
  for (const element of udh || []) {
    if (element[0] === 0x00) return [element[4], element[3]];
    if (element[0] === 0x08) return [element[5], element[4]];
  }
  return [1, 1];
}

function statusOf(pdu) {
  if (behaviour.throttle > 0) {
    behaviour.throttle -= 1;
    return smpp.ESME_RTHROTTLED;
  }
  return behaviour.status[pdu.destination_addr] || 0;
}

function take(session, pdu) {
  const [part, parts] = partOf(pdu.short_message.udh);
  const silent = behaviour.silent > 0;
  const status = silent ? null : statusOf(pdu);
  if (silent) behaviour.silent -= 1;
  got.push([pdu.destination_addr, part, parts, pdu.data_coding, String(pdu.short_message.message), status]);
  if (!silent) {
    const answer = () => {
      const id = status === 0 ? (ids += 1).toString(16).padStart(8, '0') : '';
      session.send(pdu.response({ command_status: status, message_id: id }));
      if (status === 0 && behaviour.receipts && pdu.registered_delivery & 1) owe(receipt(pdu, id));
    };
    if (behaviour.hold) held.push(answer);
    else if (behaviour.delay > 0) setTimeout(answer, behaviour.delay);
    else answer();
  }
  look();
}

function receipt(pdu, id) {
  const now = new Date().toISOString().replace(/[-T:]/g, '').slice(2, 12);
  return {
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:`,
  };
}

function owe(fields) {
  owed.push(fields);
  deliver();
}

function deliver() {
  const session = server && server.sessions.find((one) => one.bound && one.socket.writable);
  while (session && owed.length > 0) {
    const fields = owed.shift();
    session.unanswered.add(fields);
    counters.receipts += 1;
    session.deliver_sm(fields, (answer) => {
      session.unanswered.delete(fields);
      if (answer.command_status === 0) {
        counters.answered += 1;
        look();
      } else {
        counters.refused += 1;
        setTimeout(() => owe(fields), 200);
      }
    });
  }
}

function bind(session, pdu) {
  const wrong = behaviour.password !== null && pdu.password !== behaviour.password;
  const status = wrong ? smpp.ESME_RINVPASWD : behaviour.bind;
  session.send(pdu.response({ command_status: status, system_id: 'node-smpp' }));
  if (status === 0) {
    session.bound = true;
    counters.binds += 1;
    deliver();
  }
}

function listen(done) {
  server = smpp.createServer((session) => {
    session.bound = false;
    session.unanswered = new Set();
    session.on('error', (error) => {
      // A peer that was killed resets its connection; only what cannot be read is a fault.
      if (!error.code) counters.faults.push(String(error.message));
      session.destroy();
    });
    session.on('close', () => {
      owed.push(...session.unanswered);
      session.unanswered.clear();
      deliver();
    });
    for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
      session.on(command, (pdu) => bind(session, pdu));
    }
    session.on('submit_sm', (pdu) => take(session, pdu));
    session.on('enquire_link', (pdu) => session.send(pdu.response()));
    session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  });
  server.on('error', (error) => counters.faults.push(String(error.message)));
  server.listen(port, '127.0.0.1', () => {
    port = server.address().port;
    done();
  });
}

function drop() {
  for (const session of [...server.sessions]) session.destroy();
}

const orders = {
  set({ id, do: _, ...values }) {
    Object.assign(behaviour, values);
    say(id, {});
  },
  wait({ id, count }) {
    waiting.push([() => got.length >= count, id]);
    look();
  },
  wait_answered({ id, count }) {
    waiting.push([() => counters.answered >= count, id]);
    look();
  },
  report({ id }) {
    say(id, { got, ...counters, held: held.length, owed: owed.length });
  },
  release({ id }) {
    behaviour.hold = false;
    for (const answer of held.splice(0)) answer();
    say(id, {});
  },
  drop({ id }) {
    drop();
    say(id, {});
  },
  close({ id }) {
    const closing = server;
    closing.close(() => say(id, {}));
    drop();
  },
  listen({ id }) {
    listen(() => say(id, { port }));
  },
  deliver({ id, do: _, ...fields }) {
    owe(fields);
    say(id, {});
  },
};

listen(() => say(0, { port }));
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
lines.on('close', () => process.exit(0));
