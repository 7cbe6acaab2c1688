// Templates with values of JSON, and what a chat is by them.
#include "runtime/chat/chat_template.h"
#include "runtime/chat/tool_form.h"
#include "runtime/jinja/json_value.h"
#include "runtime/jinja/template.h"
#include "tests/fuzz/fuzz.h"

namespace llamajit::fuzz {
namespace {

// Less than a chat may have, so that inputs are as many.
jinja::Limits small_limits() {
  jinja::Limits limits;
  limits.steps = 20'000;
  limits.bytes = std::size_t{16} << 20;
  limits.work = std::size_t{64} << 20;
  limits.output = std::size_t{1} << 20;
  return limits;
}

void render(std::string_view source, std::string_view values) {
  jinja::Dict variables;
  variables.set("x", jinja::json_or_text(values));
  const jinja::Limits limits = small_limits();
  const std::string text =
      jinja::Template(source, "t").render(variables, limits, [] { return std::time_t{1'700'000'000}; });
  expect(text.size() <= limits.output, "more output than may be");
}

// A model's own template is asked for its form at load, by small conversations.
void render_chats(std::string_view source) {
  const ChatTemplate chat_template(source, "t");
  find_tool_form(chat_template);
  const std::vector<Message> messages{{"system", "Be kind."}, {"user", "hi"}, {"assistant", "Hello!"}};
  chat_template.render(messages, "<s>", "</s>");
}

}  // namespace

void run(std::string_view input) {
  Recipe recipe(input);
  const std::string_view values = recipe.text(), source = recipe.rest();
  if (values == "chat") {
    succeeds([&] { render_chats(source); });
  } else {
    succeeds([&] { render(source, values); });
  }
}

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const NamedTemplate& named : named_templates())
    all.push_back(joined({"chat", std::string(named.source)}));
  const std::string values =
      R"({"a": [1, 2.5, "b", null, true], "s": "A text of words", "d": {"k": "v"}, "n": -7})";
  for (const char* const source : {
           "{% for k, v in x.items() recursive %}{{ loop.index }}{{ k }}{% else %}none{% endfor %}",
           "{% macro m(a, b=2) %}{{ a ~ b }}{{ caller() }}{% endmacro %}{% call m(1) %}c{% endcall %}",
           "{% set ns = namespace(i=0) %}{% for c in x.s %}{% set ns.i = ns.i + 1 %}{% endfor %}{{ ns.i }}",
           "{{ x.a | map('string') | join(', ') | upper | replace('B', 'c') }}{{ x | tojson(indent=2) }}",
           "{{ '%5.2f|%-4d|%s' | format(1.5, 3, x.s) }}{{ '{:>8}{:,}'.format(x.s, 12345) }}",
           "{{ x.a | selectattr('k') | list }}{{ x.a | batch(2) | list }}{{ x.a | groupby('k') | list }}",
           "{% if x.n is odd and 'k' in x.d or not x.q is defined %}{{ x.s[1:-2:2] }}{% endif %}",
           "{{ x.s.split(' ')[0].strip('A').startswith('t') }}{{ x.s | wordwrap(5) | indent(3) | title }}",
           "{% filter upper %}{% set q %}{{ 7 // 2 ** 3 % 4 }}{% endset %}{{ q | urlize }}{% endfilter %}",
           "{{ range(3, 20, 4) | sum }}{{ x.a | sort | unique | list | length }}{{ strftime_now('%Y') }}",
           "{{ cycler(1, 2).next() }}{{ joiner(',')() }}{{ dict(a=1).items() | list }}{{ lipsum }}",
           "{%- raw -%}{{ no }}{%- endraw -%}{# comment #}{% break %}{{ raise_exception('no') }}",
       }) {
    all.push_back(joined({values, source}));
  }
  return all;
}

}  // namespace llamajit::fuzz
