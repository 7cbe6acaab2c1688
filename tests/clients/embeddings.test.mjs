import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { OpenAIEmbeddings } from '@langchain/openai';
import { embed, embedMany } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { model, url } from './support.mjs';

const texts = ['Once upon a time', 'A cat sat on a mat.', 'The end'];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
// What the server says in plain numbers, which all clients are held against.
const plain = await (await fetch(`${url}/v1/embeddings`, {
  method: 'POST', body: JSON.stringify({ model, input: texts }),
})).json();
const expected = plain.data.map((one) => one.embedding);

function expectSame(vectors) {
  assert.equal(vectors.length, expected.length);
  for (const [i, vector] of vectors.entries()) {
    assert.deepEqual(Array.from(vector, Math.fround), expected[i].map(Math.fround));
  }
}

test('openai: base64, as it asks without being told, and numbers', async () => {
  const packed = await client.embeddings.create({ model, input: texts });
  expectSame(packed.data.map((one) => one.embedding));
  const numbers = await client.embeddings.create({ model, input: texts, encoding_format: 'float' });
  expectSame(numbers.data.map((one) => one.embedding));
  assert.equal(packed.usage.total_tokens, plain.usage.prompt_tokens);
  await assert.rejects(client.embeddings.create({ model, input: '', dimensions: 0 }), { status: 400 });
});

test('ai: one and many, by both providers', async () => {
  for (const provider of [createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' }),
    createOpenAICompatible({ name: 'llamajit', baseURL: `${url}/v1` })]) {
    const embeds = provider.embeddingModel ? provider.embeddingModel(model) : provider.textEmbeddingModel(model);
    const many = await embedMany({ model: embeds, values: texts, maxRetries: 0 });
    expectSame(many.embeddings);
    const { embedding, usage } = await embed({ model: embeds, value: texts[1], maxRetries: 0 });
    assert.deepEqual(embedding.map(Math.fround), expected[1].map(Math.fround));
    assert.ok(usage.tokens > 0);
  }
});

test('langchain: documents and a query', async () => {
  const embeddings = new OpenAIEmbeddings({ model, apiKey: 'none', configuration: { baseURL: `${url}/v1` }, maxRetries: 0 });
  expectSame(await embeddings.embedDocuments(texts));
  assert.deepEqual((await embeddings.embedQuery(texts[2])).map(Math.fround), expected[2].map(Math.fround));
});

test('ollama: the endpoint of today and the one before', async () => {
  const ollama = new Ollama({ host: url });
  const answer = await ollama.embed({ model, input: texts });
  expectSame(answer.embeddings);
  assert.equal(answer.prompt_eval_count, plain.usage.prompt_tokens);
  const { embedding } = await ollama.embeddings({ model, prompt: texts[0] });
  const length = Math.hypot(...embedding);
  embedding.forEach((x, i) => assert.ok(Math.abs(x / length - expected[0][i]) < 1e-6));
});
