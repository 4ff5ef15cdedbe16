// Rules files: what is loaded of them, and what the loader says, by Falco's codes and with places.
#include "policy/rules/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kRule = R"(
- rule: r
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
)";

// The messages of a text, errors before warnings, one a line.
std::string MessagesOf(const LoadResult& result) {
  std::string text;
  for (const auto* messages : {&result.errors, &result.warnings}) {
    for (const LoadMessage& message : *messages) text += (text.empty() ? "" : "\n") + message.ToString();
  }
  return text;
}

std::string Messages(const std::string& text) {
  Loader loader;
  return MessagesOf(loader.Load("f", text));
}

// The rules of files that are loaded one after the other. There must be no error.
std::vector<Rule> RulesOf(std::initializer_list<std::string> files) {
  Loader loader;
  for (const std::string& file : files) {
    const LoadResult result = loader.Load("f", file);
    EXPECT_TRUE(result.ok()) << file << "\n" << MessagesOf(result);
  }
  return loader.rules();
}

std::string ConditionOf(std::initializer_list<std::string> files) {
  const std::vector<Rule> rules = RulesOf(files);
  return rules.empty() ? "no rule" : rules.front().condition_text;
}

TEST(Loader, ReadsARule) {
  const std::vector<Rule> rules = RulesOf({R"(
- required_engine_version: 0.57.0
- required_engine_version: 13
- required_plugin_versions:
  - {name: container, version: 0.4.0}
- rule: Shell
  desc: a shell
  condition: evt.type = execve and proc.name = bash
  output: "  %proc.name in %container.id  "
  priority: warning
  tags: [b, a, b]
  capture: true
  capture_duration: 2000
---
-
- rule: Other
  desc: d
  condition: evt.type = dup
  output: x
  priority: Info
  enabled: no
  source: syscall
)"});
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].name, "Shell");
  EXPECT_EQ(rules[0].description, "a shell");
  EXPECT_EQ(rules[0].priority, Priority::kWarning);
  EXPECT_EQ(rules[0].output_text, "%proc.name in %container.id");
  EXPECT_EQ(rules[0].tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(rules[0].enabled);
  EXPECT_TRUE(rules[0].capture);
  EXPECT_EQ(rules[0].capture_ms, 2000U);
  EXPECT_EQ(rules[0].source, "syscall");
  EXPECT_EQ(rules[0].place.line, 6);
  EXPECT_FALSE(rules[1].enabled);
  EXPECT_EQ(rules[1].priority, Priority::kInformational);
}

TEST(Loader, ListsAndMacrosAreExpanded) {
  EXPECT_EQ(ConditionOf({R"(
- list: shells
  items: [bash, 'a b', '"q"']
- list: all
  items: [shells, other]
- macro: shell
  condition: (proc.name in (all))
- rule: r
  desc: d
  condition: evt.type = open and shell and fd.name in (shells)
  output: o
  priority: INFO
)"}),
            "evt.type = open and shell and fd.name in ( bash, \"a b\", \"q\" )");
}

TEST(Loader, AMacroIsSeenAsItIsAtTheEnd) {
  const std::vector<Rule> rules = RulesOf({R"(
- macro: m
  condition: proc.name = a
- macro: n
  condition: m
- rule: r
  desc: d
  condition: evt.type = open and n
  output: o
  priority: INFO
)",
                                           R"(
- macro: m
  condition: proc.name = bash
)"});
  Scene scene;
  scene.event.type = *FindEventType("open");
  EXPECT_TRUE(Evaluate(*rules.at(0).condition, scene.event));
}

TEST(Loader, AppendAndOverride) {
  EXPECT_EQ(ConditionOf({kRule, R"(
- rule: r
  condition: and proc.name = x
  append: true
)"}),
            "evt.type = open and proc.name = x");
  const std::vector<Rule> rules = RulesOf({kRule, R"(
- rule: r
  condition: or evt.type = dup
  output: more
  desc: more
  tags: [t]
  priority: ERROR
  enabled: false
  override:
    condition: append
    output: append
    desc: append
    tags: append
    priority: replace
    enabled: replace
)"});
  EXPECT_EQ(rules[0].condition_text, "evt.type = open or evt.type = dup");
  EXPECT_EQ(rules[0].output_text, "o more");
  EXPECT_EQ(rules[0].description, "d more");
  EXPECT_EQ(rules[0].tags, std::vector<std::string>{"t"});
  EXPECT_EQ(rules[0].priority, Priority::kError);
  EXPECT_FALSE(rules[0].enabled);
  EXPECT_EQ(ConditionOf({kRule, R"(
- rule: r
  condition: evt.type = dup
  override: {condition: replace}
)"}),
            "evt.type = dup");
  EXPECT_EQ(ConditionOf({R"(
- list: l
  items: [a]
- macro: m
  condition: proc.name in (l)
)",
                         R"(
- list: l
  items: [b]
  override: {items: append}
- macro: m
  condition: or fd.name in (l)
  override: {condition: append}
- rule: r
  desc: d
  condition: evt.type = open and m and fd.name in (l)
  output: o
  priority: INFO
)"}),
            "evt.type = open and m and fd.name in ( a, b )");
}

TEST(Loader, ALaterDefinitionTakesThePlaceOfAnEarlierOne) {
  const std::vector<Rule> rules = RulesOf({std::string(kRule) + R"(
- rule: second
  desc: d
  condition: evt.type = dup
  output: o
  priority: INFO
)",
                                           R"(
- rule: r
  desc: d
  condition: evt.type = close
  output: o
  priority: INFO
)"});
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].name, "r");
  EXPECT_EQ(rules[0].condition_text, "evt.type = close");
}

TEST(Loader, EnabledAloneSwitches) {
  Loader loader;
  EXPECT_TRUE(loader.Load("f", kRule).ok());
  const LoadResult result = loader.Load("g", "- {rule: r, enabled: false}");
  EXPECT_THAT(MessagesOf(result), HasSubstr("g:1:3: rule 'r': LOAD_DEPRECATED_ITEM: enabled alone is given up"));
  EXPECT_FALSE(loader.rules().at(0).enabled);
}

constexpr const char* kWithExceptions = R"(
- rule: r
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
  exceptions:
)";

TEST(Loader, ExceptionsBecomePartsOfTheCondition) {
  const auto with = [](const std::string& exceptions) { return ConditionOf({kWithExceptions + exceptions}); };
  EXPECT_EQ(with(""), "evt.type = open");
  EXPECT_EQ(with("  - {name: e, fields: [proc.name]}"), "(evt.type = open)");
  EXPECT_EQ(with(R"(
  - name: e
    fields: [proc.name, fd.name]
    comps: [=, startswith]
    values:
    - [cat, /etc]
    - ["a b", "'/x y'"]
)"),
            "(evt.type = open) and not ((proc.name = cat and fd.name startswith /etc) or (proc.name = \"a b\" and "
            "fd.name startswith '/x y'))");
  EXPECT_EQ(with(R"(
  - name: e
    fields: [proc.name, fd.name]
    comps: [in, " pmatch "]
    values:
    - [[cat, "a b"], (/etc)]
    - [x, /var]
)"),
            "(evt.type = open) and not ((proc.name in (cat, \"a b\") and fd.name pmatch (/etc)) or (proc.name in (x) "
            "and fd.name pmatch (/var)))");
  EXPECT_EQ(with(R"(
  - name: e
    fields: proc.name
    values: [cat, "a b"]
  - name: g
    fields: fd.name
    comps: startswith anyof
    values: [/etc, /var]
)"),
            "(evt.type = open) and not (proc.name in (cat, \"a b\")) and not (fd.name startswith anyof (/etc, /var))");
  EXPECT_EQ(ConditionOf({kWithExceptions + std::string("  - {name: e, fields: [proc.name], values: [[a]]}"), R"(
- rule: r
  exceptions:
  - {name: e, values: [[b]]}
  - {name: n, fields: proc.exe, values: [x]}
  override: {exceptions: append}
)"}),
            "(evt.type = open) and not ((proc.name = a) or (proc.name = b)) and not (proc.exe in (x))");
}

TEST(Loader, UnknownFieldsLeaveARuleOutIfItSaysSo) {
  Loader loader;
  const LoadResult result = loader.Load("f", R"(
- rule: r
  desc: d
  condition: evt.type = open and new.field = x
  output: o
  priority: INFO
  skip-if-unknown-filter: true
- rule: s
  desc: d
  condition: evt.type = open
  output: "%new.field"
  priority: INFO
  skip-if-unknown-filter: true
- rule: t
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
)");
  EXPECT_TRUE(result.ok());
  ASSERT_EQ(result.warnings.size(), 2U);
  EXPECT_EQ(result.warnings[0].code, "LOAD_UNKNOWN_FILTER");
  EXPECT_EQ(result.warnings[1].code, "LOAD_UNKNOWN_FILTER");
  ASSERT_EQ(loader.rules().size(), 1U);
  EXPECT_EQ(loader.rules()[0].name, "t");
}

struct Expected {
  const char* text;
  const char* message;
};

TEST(Loader, ErrorsHaveCodesAndPlaces) {
  for (const Expected& one : std::initializer_list<Expected>{
           {"a: [", "f:1:1: LOAD_ERR_YAML_PARSE: "},
           {"a: b", "f:1:1: LOAD_ERR_YAML_VALIDATE: a rules file is a list"},
           {"- text", "f:1:3: LOAD_ERR_YAML_VALIDATE: an item is a map"},
           {"- {macro: a, macro: b}", "f:1:14: LOAD_ERR_YAML_PARSE: "},
           {"- {list: }", "LOAD_ERR_YAML_VALIDATE: list has no value"},
           {"- {list: l}", "f:1:3: list 'l': LOAD_ERR_YAML_VALIDATE: the key items is missing"},
           {"- {list: l, items: x}", "f:1:20: list 'l': LOAD_ERR_YAML_VALIDATE: items is a list"},
           {"- {list: l, items: [[x]]}", "f:1:21: list 'l': LOAD_ERR_YAML_VALIDATE: an item of items is a text"},
           {"- {macro: m}", "macro 'm': LOAD_ERR_YAML_VALIDATE: the key condition is missing"},
           {"- {macro: m, condition: ''}", "LOAD_ERR_YAML_VALIDATE: condition is empty"},
           {"- {macro: m, condition: 'a.b ='}",
            "f:1:25: macro 'm': LOAD_ERR_COMPILE_CONDITION: at 1:6 of the condition: a text or val(FIELD) should be "
            "here"},
           {"- {macro: m, condition: n}", "LOAD_ERR_VALIDATE: at 1:1 of the condition: there is no macro n"},
           {"- {macro: m, condition: m}", "LOAD_ERR_VALIDATE: at 1:1 of the condition: macro m is defined only after"},
           {"- {macro: m, condition: a.b=1, append: true}", "LOAD_ERR_VALIDATE: there is no macro of this name before"},
           {"- {list: l, items: [], append: true}", "LOAD_ERR_VALIDATE: there is no list of this name before"},
           {"- {list: l, items: [], append: true, override: {items: append}}",
            "LOAD_ERR_YAML_VALIDATE: append: true and override cannot be used together"},
           {"- {list: l, items: [], override: {items: add}}",
            "f:1:35: list 'l': LOAD_ERR_YAML_VALIDATE: override of items is append or replace, not add"},
           {"- {list: l, items: [], override: {list: append}}", "LOAD_ERR_YAML_VALIDATE: list cannot be appended to"},
           {"- {list: l, items: [], override: x}", "LOAD_ERR_YAML_VALIDATE: override is a map"},
           {"- {rule: r, condition: and a.b=1, append: true}",
            "LOAD_ERR_VALIDATE: there is no rule of this name before"},
           {"- {rule: r, enabled: true}", "LOAD_ERR_VALIDATE: there is no rule of this name before, to enable"},
           {"- {rule: r}", "rule 'r': LOAD_ERR_YAML_VALIDATE: the key enabled is missing"},
           {"- {rule: r, desc: d}", "rule 'r': LOAD_ERR_YAML_VALIDATE: the key condition is missing"},
           {"- {rule: r, desc: d, condition: a.b=1}", "LOAD_ERR_YAML_VALIDATE: the key output is missing"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: o, priority: high}",
            "f:1:69: rule 'r': LOAD_ERR_YAML_VALIDATE: high is no priority: Emergency, Alert,"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, enabled: maybe}",
            "LOAD_ERR_YAML_VALIDATE: enabled is true or false, not maybe"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, capture_duration: x}",
            "LOAD_ERR_YAML_VALIDATE: capture_duration is a whole number from 0, not x"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: o, priority: INFO, tags: x}",
            "LOAD_ERR_YAML_VALIDATE: tags is a list"},
           {"- {rule: r, desc: d, condition: evt.type=opn, output: o, priority: INFO}",
            "f:1:33: rule 'r': LOAD_ERR_COMPILE_CONDITION: at 1:10 of the condition: there is no event type opn"},
           {"- {rule: r, desc: d, condition: no_macro, output: o, priority: INFO}",
            "LOAD_ERR_VALIDATE: at 1:1 of the condition: there is no macro no_macro"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: '%no.field', priority: INFO}",
            "f:1:56: rule 'r': LOAD_ERR_COMPILE_OUTPUT: after %: there is no field no.field"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: '100%', priority: INFO}",
            "LOAD_ERR_COMPILE_OUTPUT: the output ends where a field should be"},
           {"- {rule: r, desc: d, condition: evt.type=open, output: '%fd.net', priority: INFO}",
            "LOAD_ERR_COMPILE_OUTPUT: after %: field fd.net has no value of its own"},
           {"- required_engine_version: x", "f:1:28: LOAD_ERR_YAML_VALIDATE: x is no version"},
           {"- required_engine_version: 0.99.0",
            "LOAD_ERR_VALIDATE: the rules need engine version 0.99.0: this is 0.63"},
           {"- required_engine_version: 64", "LOAD_ERR_VALIDATE: the rules need engine version 0.64.0"},
           {"- required_plugin_versions: x", "LOAD_ERR_YAML_VALIDATE: required_plugin_versions is a list"},
           {"- required_plugin_versions: [{name: json}]", "LOAD_ERR_YAML_VALIDATE: the key version is missing"},
           {"- required_plugin_versions: [{name: json, version: 0.7}]",
            "LOAD_ERR_VALIDATE: plugin json: 0.7 is no version"},
           {"- required_plugin_versions: [{name: json, version: 0.7.0}]",
            "LOAD_ERR_VALIDATE: the rules need plugin json 0.7.0: there are no plugins here"},
           {"- required_plugin_versions: [{name: container, version: 9.0.0}]",
            "LOAD_ERR_VALIDATE: the rules need plugin container 9.0.0"},
           {"- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: a, version: 1.0.0}]}]",
            "LOAD_ERR_VALIDATE: plugin a is named twice"},
       }) {
    const std::string messages = Messages(one.text);
    EXPECT_THAT(messages, HasSubstr(one.message)) << one.text;
    EXPECT_THAT(messages, HasSubstr("LOAD_ERR")) << one.text;
  }
}

TEST(Loader, ErrorsOfUpdatesHaveCodes) {
  for (const Expected& one : std::initializer_list<Expected>{
           {"- {rule: r, condition: x, output: o, override: {condition: append}}",
            "LOAD_ERR_YAML_VALIDATE: the key output has no entry in override"},
           {"- {rule: r, override: {condition: append}}",
            "LOAD_ERR_YAML_VALIDATE: override says to append to condition, which is not there"},
           {"- {rule: r, priority: INFO, override: {priority: append}}",
            "LOAD_ERR_YAML_VALIDATE: priority cannot be appended to"},
           {"- {rule: r, source: x, override: {source: replace}}", "LOAD_ERR_YAML_VALIDATE: source cannot be replaced"},
           {"- {rule: r, append: true}", "LOAD_ERR_VALIDATE: there is nothing to append to it"},
           {"- {rule: r, condition: x, source: k8s_audit, append: true}",
            "LOAD_ERR_VALIDATE: the rule was defined for source syscall before"},
           {"- {rule: r, exceptions: [{name: n}], append: true}",
            "LOAD_ERR_VALIDATE: exception n is new: it needs fields"},
           {"- {rule: r, exceptions: [{name: n, fields: proc.name}], append: true}",
            "LOAD_ERR_VALIDATE: exception n is new: it needs values"},
           {"- {rule: r, condition: or, append: true}", "LOAD_ERR_COMPILE_CONDITION"},
       }) {
    EXPECT_THAT(Messages(kRule + std::string(one.text)), HasSubstr(one.message)) << one.text;
  }
}

TEST(Loader, ErrorsOfExceptionsHaveCodes) {
  for (const Expected& one : std::initializer_list<Expected>{
           {"x", "LOAD_ERR_YAML_VALIDATE: exceptions is a list"},
           {"[x]", "LOAD_ERR_YAML_VALIDATE: an exception is a map"},
           {"[{fields: x}]", "LOAD_ERR_YAML_VALIDATE: the key name is missing"},
           {"[{name: e}]", "LOAD_ERR_YAML_VALIDATE: the key fields is missing"},
           {"[{name: e, fields: [a.b]}]", "LOAD_ERR_VALIDATE: exception e: there is no field a.b"},
           {"[{name: e, fields: [proc.name], comps: [=, =]}]", "LOAD_ERR_VALIDATE: exception e: it has 1 fields and 2"},
           {"[{name: e, fields: [proc.name], comps: [like]}]", "LOAD_ERR_VALIDATE: exception e: like is no operator"},
           {"[{name: e, fields: proc.name, comps: '='}]",
            "LOAD_ERR_VALIDATE: exception e: =: for one field, comps is in"},
           {"[{name: e, fields: proc.name, comps: [in]}]", "LOAD_ERR_VALIDATE: exception e: fields is one field, so"},
           {"[{name: e, fields: [proc.name], values: x}]", "LOAD_ERR_YAML_VALIDATE: values is a list"},
           {"[{name: e, fields: [proc.name], values: [[a, b]]}]",
            "LOAD_ERR_VALIDATE: exception e: a list of values has 2 items for 1 fields"},
           {"[{name: e, fields: proc.name, values: [[a]]}]", "LOAD_ERR_VALIDATE: exception e: fields is one field, so"},
           {"[{name: e, fields: [proc.name], values: [{}]}]",
            "LOAD_ERR_YAML_VALIDATE: a text or a list should be here"},
       }) {
    std::string text = kWithExceptions;
    text.pop_back();
    EXPECT_THAT(Messages(text + " " + one.text), HasSubstr(one.message)) << one.text;
  }
}

TEST(Loader, WarningsHaveCodes) {
  for (const Expected& one : std::initializer_list<Expected>{
           {"- {thing: x}", "f:7:3: LOAD_UNKNOWN_ITEM: the item is ignored"},
           {"- {list: l, items: [], itmes: []}",
            "list 'l': LOAD_UNKNOWN_KEY: unknown key itmes: it is ignored; did you"},
           {"- {list: l, items: []}", "f:7:3: list 'l': LOAD_UNUSED_LIST: no rule, macro or list uses it"},
           {"- {macro: m, condition: evt.num=0}", "f:7:3: macro 'm': LOAD_UNUSED_MACRO: no rule or macro uses it"},
           {"- {macro: m-n, condition: evt.num=0}", "LOAD_INVALID_MACRO_NAME"},
           {"- {list: 'a b', items: []}", "LOAD_INVALID_LIST_NAME"},
           {"- {rule: r, condition: and evt.num=1, append: true}", "LOAD_DEPRECATED_ITEM: append: true is given up"},
           {"- {rule: s, desc: d, condition: evt.num=1, output: o, priority: INFO}",
            "f:7:3: rule 's': LOAD_NO_EVTTYPE: the rule is for "},
           {"- {rule: s, desc: d, condition: a, output: o, priority: INFO, source: k8s_audit}",
            "rule 's': LOAD_UNKNOWN_SOURCE: unknown source k8s_audit: the rule is left out"},
           {"- {rule: s, desc: d, condition: evt.type=open, output: 'x %container.info', priority: INFO}",
            "LOAD_DEPRECATED_ITEM: %container.info in the output shows nothing"},
           {"- {rule: s, desc: d, condition: evt.type=open, output: '%evt.dir', priority: INFO}",
            "LOAD_DEPRECATED_ITEM: the output has a field that Falco has given up"},
           {"- {rule: s, desc: d, condition: \"evt.type=open and evt.dir='<'\", output: o, priority: INFO}",
            "LOAD_DEPRECATED_ITEM: field evt.dir"},
           {"- {rule: s, desc: d, condition: evt.type=open and proc.name='fd.name', output: o, priority: INFO}",
            "LOAD_COMPILE_CONDITION: fd.name is compared as a text"},
           {"- {rule: s, desc: d, condition: evt.type=open, output: o, priority: INFO, exceptions: [{name: e, fields: "
            "proc.name}, {name: e, fields: proc.name}]}",
            "LOAD_EXCEPTION_NAME_NOT_UNIQUE: the rule has exception e twice"},
           {"- {rule: r, exceptions: [], tags: [a], override: {tags: append, exceptions: append}}", ""},
       }) {
    const std::string messages = Messages(kRule + std::string(one.text));
    EXPECT_THAT(messages, HasSubstr(one.message)) << one.text;
    EXPECT_EQ(messages.find("LOAD_ERR"), std::string::npos) << one.text << "\n" << messages;
  }
  EXPECT_THAT(Messages(kRule), IsEmpty());
  EXPECT_THAT(Messages(kRule + std::string("- {rule: s, desc: d, condition: evt.num=1, output: o, priority: INFO, "
                                           "warn_evttypes: false}")),
              IsEmpty());
  EXPECT_THAT(Messages(std::string(kWithExceptions) + "  - {name: e, fields: proc.name, values: [a]}\n" +
                       "- {rule: r, exceptions: [{name: e}], append: true}"),
              HasSubstr("LOAD_APPEND_NO_VALUES"));
}

TEST(Loader, AnErrorLeavesTheRulesAsTheyWere) {
  Loader loader;
  EXPECT_TRUE(loader.Load("f", kRule).ok());
  EXPECT_FALSE(loader.Load("g", "- {rule: s, desc: d, condition: x, output: o, priority: INFO}").ok());
  ASSERT_EQ(loader.rules().size(), 1U);
  EXPECT_EQ(loader.rules()[0].name, "r");
}

TEST(Loader, MessagesShowTheLine) {
  Loader loader;
  const LoadResult result = loader.Load("f", R"(
- rule: r
  desc: d
  condition: >
    evt.type = open
    and proc.name = x and and
  output: o
  priority: INFO
)");
  ASSERT_EQ(result.errors.size(), 1U);
  EXPECT_EQ(result.errors[0].snippet,
            "evt.type = open and proc.name = x and and\n"
            "                                      ^");
  EXPECT_EQ(result.errors[0].context.place().line, 4);
  const LoadResult unknown = loader.Load("g", "\n- rule: s\n  colour: red\n  enabled: true\n");
  EXPECT_EQ(unknown.errors.size(), 1U);
}

TEST(Loader, SnippetsAreCutAndMarked) {
  EXPECT_EQ(SnippetOf("ab\ncd\nef", 4), "cd\n ^");
  EXPECT_EQ(SnippetOf("ab\ncd", 0), "ab\n^");
  EXPECT_EQ(SnippetOf("ab\ncd", 5), "cd\n ^");
  EXPECT_EQ(SnippetOf("a\tb\x01", 3), "a b?\n   ^");
  EXPECT_EQ(SnippetOf("", 0), "");
  const std::string cut = SnippetOf(std::string(1'000, 'x'), 500);
  EXPECT_LT(cut.size(), 300U);
  EXPECT_EQ(OffsetOf("ab\ncd", {.line = 2, .column = 2}), 4U);
  EXPECT_EQ(OffsetOf("ab\ncd", {.line = 9, .column = 2}), 5U);
}

}  // namespace
}  // namespace sluice::policy::rules
