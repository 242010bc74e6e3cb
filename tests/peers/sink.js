// An SMS centre made of node-smpp, which nobody here wrote: the sink of the journeys, the crash runs and the benchmarks.
//
//   node tests/peers/sink.js [--port 0] [--password P] [--receipts] [--receipt-delay MS] [--delay MS] [--throttle N]
//        [--throttle-every N] [--throttle-tenths N] [--rate N] [--silent N] [--nack-every N] [--drop-every N]
//        [--receipts-first] [--slam N] [--dribble] [--by text|to|both] [--quiet | --brief]
//
// Speaks JSON, one line each. On stdout first {"event":"listening","port"}; then, unless --quiet, {"event":"bind"…},
// {"event":"submit","text","to","from","id","status","data_coding","esm_class","udh",…} for each submit_sm;
// "at" is when it came, in nanoseconds of the machine's monotonic clock; and {"event":"receipt","id"} for each answered.
// --brief says of a submit only "text", "status" and "at", and nothing of receipts: what costs little beside a measurement.
// --throttle answers the first N by ESME_RTHROTTLED, --throttle-every each Nth, --throttle-tenths N of each ten; --rate
// what exceeds N a second; --silent leaves the first N unanswered; --nack-every answers each Nth by generic_nack;
// --drop-every destroys the connection at each Nth, unanswered; --slam closes the first N connections at once;
// --dribble writes three octets at a time; --receipts-first sends a receipt before the answer it belongs to.
//
// On stdin {"do":"counts"}, {"do":"counts","all":true}, {"do":"throttle","n":30}, {"do":"silent","n":5}, {"do":"drop"},
// {"do":"unbind"}, {"do":"deaf"} (reads nothing more on what is connected now), {"do":"raw","hex"} (writes these octets),
// {"do":"deliver","from","to","text"}, {"do":"reset"}; {"do":"set","delay":5} changes any option;
// {"do":"refuse","to","status"} answers one number by this status, {"do":"hold"} keeps answers until {"do":"release"}
// ("reverse": the last first),
// {"do":"close"} drops all and stops listening until {"do":"listen"}, which listens at the same port again; each of
// these says {"event":"done","of":…} when it is so. Answers counts, and prints them at SIGTERM, too:
// {"event":"counts","submits","accepted","unique","doubled":{…},"throttled","silent","dropped","receipts","deferred",
//  "binds","seconds"}: accepted counts what was answered ESME_ROK, unique the different ones of these (--by what),
// doubled those accepted more than once; "all" adds every one under "counted"; seconds is from first to last accepted.
'use strict';

const path = require('path');
const readline = require('readline');
const smpp = require(process.env.NODE_SMPP || path.join(__dirname, '..', '..', '.peers', 'node_modules', 'smpp'));

const options = { port: 0, by: 'text' };
for (let words = process.argv.slice(2); words.length;) {
  const name = words.shift().replace(/^--/, '').replace(/-(.)/g, (_, letter) => letter.toUpperCase());
  options[name] = words.length && !words[0].startsWith('--') ? words.shift() : true;
}
for (const name of ['port', 'receiptDelay', 'delay', 'throttle', 'throttleEvery', 'throttleTenths', 'rate', 'silent', 'nackEvery',
  'dropEvery', 'slam']) {
  options[name] = Number(options[name] || 0);
}

const fresh = () => ({ submits: 0, accepted: 0, throttled: 0, silent: 0, dropped: 0, receipts: 0, deferred: 0, binds: 0 });
let total = fresh();
let counted = new Map();
let first = 0, last = 0, second = 0, inSecond = 0, serial = 0;
const receivers = new Set();
const refused = new Map();
let connections = 0;
let held = null;
const birth = Date.now().toString(36);

// Lines and PDUs of one turn of the loop go out in one write.
let lines = [];
function say(line) {
  if (!lines.length) setImmediate(() => { process.stdout.write(lines.join('\n') + '\n'); lines = []; });
  lines.push(JSON.stringify(line));
}
function together(session) {
  if (session.corked || options.dribble) return;
  session.corked = true;
  session.socket.cork();
  setImmediate(() => { session.corked = false; session.socket.uncork(); });
}

function counts(all) {
  const doubled = {};
  for (const [key, times] of counted) if (times > 1) doubled[key] = times;
  const line = { event: 'counts', ...total, unique: counted.size, doubled, seconds: (last - first) / 1000 };
  if (all) line.counted = Object.fromEntries(counted);
  return line;
}

function statusOf(pdu) {
  if (refused.has(pdu.destination_addr)) return refused.get(pdu.destination_addr);
  if (options.throttle > 0) { options.throttle--; return smpp.ESME_RTHROTTLED; }
  if (options.throttleEvery && total.submits % options.throttleEvery === 0) return smpp.ESME_RTHROTTLED;
  if (total.submits % 10 < options.throttleTenths) return smpp.ESME_RTHROTTLED;
  if (options.rate) {
    const now = Math.floor(Date.now() / 1000);
    if (now !== second) { second = now; inSecond = 0; }
    if (++inSecond > options.rate) return smpp.ESME_RTHROTTLED;
  }
  return smpp.ESME_ROK;
}

function submitted(session, pdu) {
  const at = Number(process.hrtime.bigint());
  total.submits++;
  if (options.dropEvery && total.submits % options.dropEvery === 0) { total.dropped++; return session.destroy(); }
  const payload = pdu.short_message && pdu.short_message.message.length ? pdu.short_message : pdu.message_payload;
  const text = payload ? payload.message.toString() : '';
  const udh = payload && payload.udh ? Buffer.concat(payload.udh).toString('hex') : '';
  const silent = options.silent > 0 && options.silent-- > 0;
  const nacked = options.nackEvery && total.submits % options.nackEvery === 0;
  const status = silent ? null : nacked ? smpp.ESME_RSYSERR : statusOf(pdu);
  const id = `${birth}${(++serial).toString(16).padStart(8, '0')}`;
  if (status === smpp.ESME_ROK) {
    last = performance.now();
    if (!total.accepted++) first = last;
    const key = options.by === 'to' ? pdu.destination_addr : (options.by === 'both' ? `${pdu.destination_addr} ` : '') + udh + text;
    counted.set(key, (counted.get(key) || 0) + 1);
  } else {
    total[silent ? 'silent' : 'throttled']++;
  }
  if (options.brief) {
    say({ event: 'submit', text, status, at });
  } else if (!options.quiet) {
    say({
      event: 'submit', text, to: pdu.destination_addr, from: pdu.source_addr, id, status, udh,
      data_coding: pdu.data_coding, esm_class: pdu.esm_class, registered_delivery: pdu.registered_delivery,
      reference: pdu.user_message_reference, dest_ton: pdu.dest_addr_ton, source_ton: pdu.source_addr_ton,
      priority: pdu.priority_flag, protocol: pdu.protocol_id, at, client: session.number,
    });
  }
  if (silent) return;
  const answer = () => {
    together(session);
    const reports = status === smpp.ESME_ROK && options.receipts && pdu.registered_delivery & 1;
    if (reports && options.receiptsFirst) receipt(pdu, id, new Date());
    if (nacked) {
      session.send(new smpp.PDU('generic_nack', { command_status: status, sequence_number: pdu.sequence_number }));
    } else {
      session.send(pdu.response(status ? { command_status: status } : { message_id: id }));
    }
    if (reports && !options.receiptsFirst) setTimeout(receipt, options.receiptDelay, pdu, id, new Date());
  };
  if (held) held.push(answer); else if (options.delay) setTimeout(answer, options.delay); else answer();
}

const stamp = (date) => date.toISOString().replace(/[-T:]/g, '').slice(2, 12);

function receipt(pdu, id, at) {
  deliver({
    source_addr: pdu.destination_addr, source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi,
    destination_addr: pdu.source_addr, dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi,
    esm_class: 4, receipted_message_id: id, message_state: 2,
    short_message: Buffer.from(`id:${id} sub:001 dlvrd:001 submit date:${stamp(at)} done date:${stamp(new Date())} ` +
      'stat:DELIVRD err:000 text:'),
  }, () => { total.receipts++; if (!options.quiet && !options.brief) say({ event: 'receipt', id }); });
}

// Delivers to whoever receives; what is put off, finds nobody, or is not answered before the connection is lost, is
// tried again.
function deliver(fields, done) {
  const again = () => setTimeout(deliver, 500, fields, done);
  const session = receivers.values().next().value;
  if (!session) return again();
  together(session);
  session.unanswered.add(again);
  session.deliver_sm({ ...fields }, (answer) => {
    session.unanswered.delete(again);
    if (answer.command_status === smpp.ESME_ROK) return done();
    total.deferred++;
    again();
  });
}

function bound(session, pdu) {
  if (options.password && pdu.password !== options.password) {
    session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
    return;
  }
  total.binds++;
  session.send(pdu.response({ system_id: 'sink' }));
  if (pdu.command !== 'bind_transmitter') receivers.add(session);
  if (!options.quiet) say({ event: 'bind', mode: pdu.command.slice(5), system_id: pdu.system_id, client: session.number });
}

const server = smpp.createServer((session) => {
  session.unanswered = new Set();
  session.on('error', () => { receivers.delete(session); session.destroy(); });
  if (options.slam > 0 && options.slam-- > 0) return session.destroy();
  if (options.dribble) {
    const write = session.socket.write.bind(session.socket);
    session.socket.setNoDelay(true);
    session.socket.write = (octets) => { for (let at = 0; at < octets.length; at += 3) write(octets.subarray(at, at + 3)); return true; };
  }
  session.number = ++connections;
  for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(command, (pdu) => bound(session, pdu));
  }
  session.on('submit_sm', (pdu) => submitted(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { receivers.delete(session); session.send(pdu.response()); session.close(); });
  session.on('close', () => {
    receivers.delete(session);
    if (!options.quiet) say({ event: 'close', client: session.number });
    for (const again of session.unanswered) again();
  });
});
function listen() {
  server.listen(options.port, '127.0.0.1', () => {
    options.port = server.address().port;
    say({ event: 'listening', port: options.port });
  });
}
listen();

const dropAll = () => { for (const session of [...server.sessions]) session.destroy(); };
const did = (of) => say({ event: 'done', of });
const verbs = {
  set: ({ do: _, ...values }) => { Object.assign(options, values); did('set'); },
  refuse: (order) => { refused.set(order.to, order.status); did('refuse'); },
  hold: () => { held = held || []; did('hold'); },
  release: (order) => {
    const answers = held || [];
    held = null;
    for (const answer of order.reverse ? answers.reverse() : answers) answer();
    did('release');
  },
  deaf: () => { for (const session of server.sessions) { session.socket.removeAllListeners('readable'); session.socket.pause(); } did('deaf'); },
  raw: (order) => { for (const session of server.sessions) session.socket.write(Buffer.from(order.hex, 'hex')); did('raw'); },
  close: () => { server.close(() => did('close')); dropAll(); },
  listen,
  counts: (order) => say(counts(order.all)),
  throttle: (order) => { options.throttle = order.n; },
  silent: (order) => { options.silent = order.n; },
  drop: dropAll,
  unbind: () => { for (const session of [...server.sessions]) session.unbind(); },
  reset: () => { total = fresh(); counted = new Map(); first = last = 0; },
  deliver: (order) => deliver(
    { source_addr: order.from, source_addr_ton: 1, destination_addr: order.to, short_message: order.text, data_coding: 8 },
    () => {},
  ),
};
const orders = readline.createInterface({ input: process.stdin });
orders.on('line', (line) => { const order = JSON.parse(line); verbs[order.do](order); });

process.on('SIGTERM', () => {
  process.stdout.write(lines.concat(JSON.stringify(counts(false))).join('\n') + '\n', () => process.exit(0));
});
