// Templates that want more memory, time or stack than a rendering may have. Each runs in a process of its own, whose
// memory is measured.
#include <atomic>
#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "runtime/chat/chat_template.h"
#include "runtime/jinja/template.h"
#include "tests/support/sanitized.h"

namespace llamajit::hostile_values_test {
namespace {

// Of computing, since others use the machine, too; for a sanitizer they are many.
constexpr double kMostSeconds = test::kSanitized ? 60 : 20;
constexpr int kMany = test::kSanitized ? 200'000 : 2'000'000;
constexpr int kElements = test::kSanitized ? 2'000 : 70'000;
constexpr int kLists =
    test::kSanitized ? 100 : 1000;  // whose sums are copied again and again until the limit
constexpr int kLinks = test::kSanitized ? 30'000 : 100'000;  // of a chain: more than a stack has room for
constexpr long kMostKibibytes = 512 * 1024;

std::string outcome(const std::string& source, const jinja::Limits& limits = {}) {
  try {
    return "text: " + jinja::Template(source, "t").render({}, limits);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

// 0 where there is a text or an error that names its place, soon and within the memory that may be taken.
[[noreturn]] void render_and_exit(const std::string& source) {
  const std::clock_t begin = std::clock();
  const std::string what = outcome(source);
  const bool late = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC > kMostSeconds;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const bool large =
      !test::kSanitized && used.ru_maxrss > kMostKibibytes;  // what the sanitizer takes is more
  const bool said = what.starts_with("text: ") || what.starts_with("t: line ");
  if (late || large || !said) fmt::print(stderr, "{} KiB: {}\n", used.ru_maxrss, what.substr(0, 200));
  std::_Exit(late ? 3 : large ? 2 : said ? 0 : 1);
}

void expect_end(const std::string& source) {
  EXPECT_EXIT(render_and_exit(source), ::testing::ExitedWithCode(0), "") << source.substr(0, 200);
}

std::string repeated(const std::string& body) {
  return fmt::format("{{% for a in range({}) %}}", kLinks) + body + "{% endfor %}";
}

// Values that hold one another in a chain as long as a template's loop.
TEST(HostileValues, ChainsAreDestroyed) {
  const std::string begin = "{% set ns = namespace(x=0) %}";
  for (const char* link :
       {"[ns.x.index]", "namespace(x=ns.x)", "cycler(ns.x)", "joiner(ns.x)", "[ns.x].copy"}) {
    const std::string first = std::string(link) == "[ns.x.index]" ? "{% set ns.x = [] %}" : "";
    expect_end(begin + first + repeated(fmt::format("{{% set ns.x = {} %}}", link)));
  }
  expect_end(begin + "{% macro m() %}{% set ns.x = caller %}{% endmacro %}" +
             repeated("{% set y = ns.x %}{% call m() %}{% endcall %}"));
}

TEST(HostileValues, FiltersCallFiltersOnlySoDeep) {
  EXPECT_THAT(outcome("{{ 'a' | map(*(['map'] * 3000)) | list }}"),
              ::testing::HasSubstr("within each other, found more"));
}

std::string literal_of(int entries, const std::string& entry) {
  std::string out = "{";
  for (int i = 0; i < entries; ++i) out += fmt::format(fmt::runtime(entry), i);
  return out + "}";
}

TEST(HostileValues, ManyKeysAndVariablesAreFoundSoon) {
  EXPECT_EQ(outcome("{{ " + literal_of(80000, "'k{0}':1,") + " | length }}"), "text: 80000");
  EXPECT_EQ(outcome("{% set n = 'nan' | float %}{{ " + literal_of(80000, "n: {0}, ") + " | length }}"),
            "text: 80000");
  EXPECT_EQ(outcome("{% set d = " + literal_of(80000, "'k{0}':1,") +
                    " %}{{ d.k79999 }} {{ d['k5'] }} {{ d.nope is defined }} {{ 1 in d }}"),
            "text: 1 1 False False");
  std::string variables;
  for (int i = 0; i < 20000; ++i) variables += fmt::format("{{% set v{} = {} %}}", i, i);
  EXPECT_EQ(outcome(variables + variables + "{{ v19999 }}"), "text: 19999");
}

// One key, as in Python, however many there are.
TEST(HostileValues, EqualKeysAreOneAmongMany) {
  const std::string many = literal_of(100, "{0}: {0}, ");
  EXPECT_EQ(outcome("{% set d = " + many +
                    " %}{{ d[1.0] }} {{ d[true] }} {{ d[-0.0] }} {{ 99.0 in d }} {{ '1' in d }}"),
            "text: 1 1 0 True False");
}

TEST(HostileValues, TuplesOfTuplesAreNoKeysForEver) {
  const std::string begin =
      "{% set ns = namespace(t=(1,)) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}";
  for (const char* use : {"{ns.t: 1}", "{'a': 1}[ns.t]", "ns.t in {'a': 1}", "{'a': 1}.get(ns.t)"}) {
    EXPECT_THAT(outcome(begin + "{{ " + use + " }}", {.steps = 100000}), ::testing::HasSubstr("steps"))
        << use;
  }
}

TEST(HostileValues, WhatIsKeptCounts) {
  const std::string dict = "{% set d = " + literal_of(1000, "'k{0}': {0}, ") + " %}";
  for (const char* made :
       {"d.keys()", "d.items()", "d.values()", "d.copy()", "d | items", "namespace(d)", "dict(d)",
        "('a' * 1000).splitlines()", "range(1000)", "d | string", "'x' ~ 'x' * 10000"}) {
    const std::string source = dict + fmt::format(
                                          "{{% set ns = namespace(x=[]) %}}{{% for i in range(10000) %}}"
                                          "{{% set ns.x = [ns.x, {}, [0] * 1000] + [] %}}{{% set ns.x = "
                                          "namespace(a=ns.x) %}}{{% endfor %}}",
                                          made);
    EXPECT_THAT(outcome(source, {.bytes = 4 << 20}), ::testing::HasSubstr("bytes together, found more"))
        << made;
  }
  expect_end(
      "{% macro m(n) %}{{ 'x' * 10000000 }}{% if n %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(100) }}");
}

// On strings and lists of a size at which what is counted or charged wrongly shows.
TEST(HostileValues, OperationsOnLongStringsEnd) {
  for (const char* use : {"s.count('')",
                          "s.splitlines()",
                          "s.split('a')",
                          "s.strip(s)",
                          "s | trim(s)",
                          "s | replace('', 'b')",
                          "s | map(attribute=0) | list",
                          "s | list",
                          "s | urlize",
                          "s | wordwrap(1)",
                          "s | pprint",
                          "[s] * 100 | join",
                          "([s] * 100) | tojson",
                          "s.find('a' * 1000000 ~ 'b')",
                          "s.rfind('b' ~ 'a' * 1000000)",
                          "('\\x01' * 2000000) | tojson",
                          "('{:' * 1000000).format()",
                          "raise_exception(s)",
                          "s[::-1]",
                          "{}[s].x",
                          "namespace(**{s: 1})",
                          "('9' * 1000000) | int == 1",
                          "('<' * 2000000) | striptags",
                          "s.nope",
                          "s ~ s"}) {
    expect_end(fmt::format("{{% set s = 'a' * {} %}}{{% set r = {} %}}", kMany, use));
  }
}

TEST(HostileValues, OperationsOnLongListsEnd) {
  for (const char* use :
       {"l + l", "l == l + []", "'b' in l", "l | tojson", "l | pprint", "l | sort", "l | unique | list",
        "l | groupby(0)", "l | map('string') | list", "l | batch(1, 'a') | list", "l | slice(1000000) | list",
        "l | map('batch', 1000, 'x') | list", "l | map('center', 1000) | list", "l | urlencode",
        "([l] * n) | tojson", "([l] * n) | sum(start=[])", "l | map('replace', '', l) | list"}) {
    expect_end(fmt::format("{{% set l = ['a'] * {} %}}{{% set n = {} %}}{{% set r = {} %}}", kElements,
                           kLists, use));
  }
}

TEST(HostileValues, WorkIsChargedByBytes) {
  for (const char* use : {"s | length", "s is lower", "s == u", "s.strip()", "s.find('b')", "'b' in s",
                          "s | trim", "s < u", "s[0]", "s[-1]", "s | int"}) {
    const std::string source = fmt::format(
        "{{% set s = 'a' * 1000000 %}}{{% set u = s ~ '' %}}"
        "{{% for a in range(1000) %}}{{% set r = {} %}}{{% endfor %}}",
        use);
    EXPECT_THAT(outcome(source, {.work = 100 << 20}), ::testing::HasSubstr("one after another, found more"))
        << use;
  }
}

TEST(HostileValues, ARenderingCanBeCancelled) {
  const std::atomic<bool> cancel{true};
  jinja::Limits limits;
  limits.cancel = &cancel;
  EXPECT_THROW(jinja::Template("{{ 1 }}", "t").render({}, limits), jinja::RenderingCancelled);
  EXPECT_THAT(outcome("\n{{ 1 }}", limits), ::testing::HasSubstr("the rendering was cancelled"));
}

TEST(LongChats, AreRenderedInEveryFormat) {
  std::vector<Message> messages;
  constexpr std::size_t kMessages = test::kSanitized ? 1000 : 5000;
  for (std::size_t i = 0; i < kMessages; ++i) {
    messages.push_back(
        {i % 2 == 0 ? "user" : "assistant", std::string(200, static_cast<char>('a' + i % 26))});
  }
  for (const NamedTemplate& named : named_templates()) {
    EXPECT_GT(ChatTemplate(named).render(messages, "<s>", "</s>").size(), kMessages * 200) << named.name;
  }
  // Bit by bit, as some templates do: what is gone no longer counts.
  const ChatTemplate joining(
      "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t ~ m.role ~ ': ' ~ m.content ~ "
      "'\\n' %}"
      "{% endfor %}{{ ns.t }}",
      "t");
  EXPECT_GT(joining.render(messages, "<s>", "</s>").size(), kMessages * 200);
}

}  // namespace
}  // namespace llamajit::hostile_values_test
