#!/usr/bin/env bash
# Software  valibot 1.5.0 and @valibot/to-json-schema 1.8.0, with ajv 8.20.0 and ajv-formats 3.0.1 as the validator, on
#           Node.js
# Guess     toJsonSchema gives a schema of what the valibot schema takes, or throws where JSON Schema can't say it, as
#           it does for a regular expression with flags. An answer that is right by the schema is taken by parse().
# Seen      isoDateTime() becomes the format "date-time" and isoTime() the format "time", and no string is in both: RFC
#           3339, which defines the formats, demands seconds and an offset, and the two actions take "2026-03-01T09:30"
#           and "09:30" and nothing longer. isoTimestamp() and isoTimeSecond() agree with their schemas. Of the integers
#           from 1 to 10 multipleOf(0.1) takes none, and of 0.1, 0.2 to 10.0 seven, since it is computed by JavaScript's
#           %; the same keyword in the schema allows all of these integers by Ajv.
# Matters   An engine that holds a model to the format writes "2026-03-01T09:30:00Z" each time, and each time the parser
#           of the very schema throws: not for one answer in a hundred but for all, after the tokens are paid for. No
#           type checker sees it, and the package's table lists both without a remark. Who makes a schema for a model
#           should run one answer by the schema through the parser first, and take isoTimestamp() for a date with a
#           time.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$dir" \
    valibot@1.5.0 @valibot/to-json-schema@1.8.0 ajv@8.20.0 ajv-formats@3.0.1

cat > formats.mjs <<'JS'
import * as v from 'valibot';
import {toJsonSchema} from '@valibot/to-json-schema';
import {Ajv} from 'ajv';
import addFormats from 'ajv-formats';
const ajv = new Ajv({strict: false});
addFormats.default(ajv);
let changed = false;
function expect(what, expected, found) {
  console.log(`${what.padEnd(60)} ${found}`);
  if (found !== expected) { console.error(`  CHANGED: expected ${expected}`); changed = true; }
}
// Times of every shape, with and without seconds, fractions and offsets.
const times = [];
for (const minute of ['00:00', '09:30', '12:00', '23:59']) {
  for (const second of ['', ':00', ':59', ':07.5', ':07.123456']) {
    for (const offset of ['', 'Z', '+00:00', '-05:30', '+02:00']) times.push(`${minute}${second}${offset}`);
  }
}
const dateTimes = times.flatMap((time) => [`2026-03-01T${time}`, `2024-02-29T${time}`, `1999-12-31 ${time}`]);
function compare(action, values) {
  const schema = v.pipe(typeof values[0] === 'string' ? v.string() : v.number(), action);
  const json = toJsonSchema(schema);
  const allowed = values.filter(ajv.compile(json));
  const taken = values.filter((value) => v.safeParse(schema, value).success);
  const shape = json.format ?? (json.pattern ? 'pattern' : `multipleOf ${json.multipleOf}`);
  return `${shape}: ${allowed.length} allowed, ${taken.length} taken, ${taken.filter((value) => allowed.includes(value)).length} both`;
}
const integers = Array.from({length: 10}, (_, at) => at + 1);
expect('isoTimestamp() on 300 dates with times', 'date-time: 192 allowed, 192 taken, 192 both', compare(v.isoTimestamp(), dateTimes));
expect('isoDateTime() on the same', 'date-time: 192 allowed, 12 taken, 0 both', compare(v.isoDateTime(), dateTimes));
expect('isoTime() on 100 times', 'time: 64 allowed, 4 taken, 0 both', compare(v.isoTime(), times));
expect('isoTimeSecond() on the same', 'pattern: 8 allowed, 8 taken, 8 both', compare(v.isoTimeSecond(), times));
expect('multipleOf(0.1) on 1 to 10', 'multipleOf 0.1: 10 allowed, 0 taken, 0 both', compare(v.multipleOf(0.1), integers));
const tenths = Array.from({length: 100}, (_, at) => (at + 1) / 10);
const multiples = v.pipe(v.number(), v.multipleOf(0.1));
expect('of 0.1, 0.2 to 10.0 those that multipleOf(0.1) takes', 7,
       tenths.filter((value) => v.safeParse(multiples, value).success).length);
process.exit(changed ? 1 : 0);
JS
node formats.mjs
