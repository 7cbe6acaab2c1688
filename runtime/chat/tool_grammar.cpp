#include "runtime/chat/tool_grammar.h"

#include <stdexcept>
#include <string_view>

#include <fmt/format.h>

#include "runtime/chat/json_scanner.h"

namespace llamajit {
namespace {

// Bytes as GBNF has them within quotation marks, or within a class of characters.
std::string gbnf_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '"' || c == '\\' || c == '[' || c == ']') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\x{:02X}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string literal(std::string_view text) {
  return fmt::format(R"("{}")", gbnf_escaped(text));
}

std::string json_name(const ToolRule& tool) {
  return fmt::format(R"("{}")", json_escaped(tool.name));
}

// An object with the name and the arguments.
std::string json_call(const ToolRule& tool, std::string_view arguments_key) {
  return fmt::format("{} {} {}",
                     literal(fmt::format(R"({{"name": {}, "{}": )", json_name(tool), arguments_key)),
                     tool.arguments_rule, literal("}"));
}

std::string xml_call(const ToolRule& tool) {
  std::string rule = literal(fmt::format("<function={}>\n", tool.name));
  for (const ParameterRule& parameter : tool.parameters) {
    const std::string one =
        fmt::format("{} {} {}", literal(fmt::format("<parameter={}>\n", parameter.name)),
                    parameter.rule.empty() ? "tool-text-0" : parameter.rule, literal("\n</parameter>\n"));
    rule += parameter.required ? fmt::format(" {}", one) : fmt::format(" ({})?", one);
  }
  return rule.append(" ").append(literal("</function>"));
}

// Text in which </parameter> does not come: rule i is for what is behind the first i bytes of it. Only its first
// byte can begin it anew, as no other is the same.
std::string text_rules() {
  constexpr std::string_view kEnd = "</parameter>";
  std::string rules;
  for (std::size_t i = 0; i < kEnd.size(); ++i) {
    const std::string next = gbnf_escaped(kEnd.substr(i, 1));
    rules += fmt::format(R"(tool-text-{} ::= "" | "<" tool-text-1)", i);
    if (i > 0 && i + 1 < kEnd.size()) rules += fmt::format(R"( | "{}" tool-text-{})", next, i + 1);
    rules += i == 0 ? " | [^<] tool-text-0\n" : fmt::format(" | [^<{}] tool-text-0\n", next);
  }
  return rules;
}

struct Frame {
  std::string prefix;
  std::string before{};  // literals around the call
  std::string after{};
};

Frame frame_of(CallSyntax calls) {
  switch (calls) {
    case CallSyntax::hermes:
    case CallSyntax::xml:
      return {"<tool_call>", "\n", "\n</tool_call>"};
    case CallSyntax::llama:
      return {""};
    case CallSyntax::mistral_list:
      return {"[TOOL_CALLS]", "[", "]"};
    case CallSyntax::mistral_args:
    case CallSyntax::mistral_name:
      return {"[TOOL_CALLS]"};
    case CallSyntax::channels:
      return {"<|channel|>", "commentary to=functions."};
  }
  return {};
}

std::string call_rule(CallSyntax calls, const ToolRule& tool) {
  switch (calls) {
    case CallSyntax::hermes:
    case CallSyntax::mistral_list:
      return json_call(tool, "arguments");
    case CallSyntax::xml:
      return xml_call(tool);
    case CallSyntax::llama:
      return json_call(tool, "parameters");
    case CallSyntax::mistral_args:
      return literal(tool.name + "[ARGS]") + " " + tool.arguments_rule;
    case CallSyntax::mistral_name:
      return literal(tool.name) + " " + tool.arguments_rule;
    case CallSyntax::channels:
      return literal(tool.name + " <|constrain|>json<|message|>") + " " + tool.arguments_rule;
  }
  return {};
}

}  // namespace

ToolGrammar tool_call_gbnf(const ToolForm& form, std::span<const ToolRule> tools) {
  if (tools.empty()) throw std::invalid_argument("grammar of calls: expected tools, found none");
  const Frame frame = frame_of(form.calls);
  std::string choice;
  std::string rules;
  bool has_text = false;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const ToolRule& tool = tools[i];
    if (tool.name.empty())
      throw std::invalid_argument(fmt::format("grammar of calls: expected a name of tool {}, found none", i));
    choice += fmt::format("{}tool-call-{}", i == 0 ? "" : " | ", i);
    rules += fmt::format("tool-call-{} ::= {}\n", i, call_rule(form.calls, tool));
    for (const ParameterRule& parameter : tool.parameters) has_text = has_text || parameter.rule.empty();
  }
  std::string root = "root ::=";
  if (!frame.before.empty()) root.append(" ").append(literal(frame.before));
  root += " tool-call";
  if (!frame.after.empty()) root.append(" ").append(literal(frame.after));
  ToolGrammar grammar{frame.prefix, root + "\ntool-call ::= " + choice + "\n" + rules};
  if (form.calls == CallSyntax::xml && has_text) grammar.gbnf += text_rules();
  return grammar;
}

}  // namespace llamajit
