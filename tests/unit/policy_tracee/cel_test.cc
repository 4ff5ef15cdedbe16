// The part of CEL that detectors may use, and that everything else is refused by its name.
#include "policy/tracee/cel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "policy/tracee/draft_rule.h"
#include "tests/unit/policy_tracee/made_call.h"

namespace sluice::policy::tracee {
namespace {

using testing::HasSubstr;

const std::map<std::string, std::vector<std::string>, std::less<>>& KnownLists() {
  static const std::map<std::string, std::vector<std::string>, std::less<>> kLists = {
      {"LISTERS", {"/usr/bin/ls", "/usr/bin/dir"}}, {"OTHERS", {"/bin/cat"}}};
  return kLists;
}

CelNames KnownNames() {
  return {.data = [](std::string_view name) -> std::optional<CelValue> {
            const auto field = [](const char* of, DataType type) {
              return CelValue{
                  .kind = CelValue::Kind::kField, .type = type, .text = of, .field = of, .empty = "", .items = {}};
            };
            if (name == "pathname") return field("proc.exepath", DataType::kText);
            if (name == "gone") return field("k8s.pod.name", DataType::kText);
            if (name == "ret") return field("evt.rawres", DataType::kNumber);
            return std::nullopt;
          },
          .data_names = "pathname, gone, ret",
          .lists = &KnownLists()};
}

// Of /usr/bin/ls, whose call returned 3, in a container without a pod and with the id abcdef123456.
bool IsTrue(const std::string& expression, bool on_host = false) {
  const auto condition = CompileCondition(expression, KnownNames());
  EXPECT_TRUE(condition.ok()) << expression << ": " << condition.status();
  if (!condition.ok()) return false;
  const auto rules = CompileDrafts("c", {{.name = "r",
                                          .description = "d",
                                          .condition = "evt.type = openat and " + *condition,
                                          .output = "o",
                                          .priority = "INFO",
                                          .tags = {},
                                          .place = {}}});
  EXPECT_TRUE(rules.ok()) << *condition << ": " << rules.status();
  if (!rules.ok()) return false;
  Made made("openat");
  if (on_host) made.event.container = &rules::HostContainer();
  return !HitsOf(*rules, made).empty();
}

TEST(Cel, ConditionsDecide) {
  const std::vector<std::pair<std::string, bool>> cases = {
      {R"(getEventData("pathname") == "/usr/bin/ls")", true},
      {R"("/usr/bin/ls" == getEventData('pathname'))", true},
      {R"(getEventData(event, "pathname") == "/usr/bin/ls")", true},
      {R"(getEventData("pathname") == "ls")", false},
      {R"(getEventData("pathname") != "ls")", true},
      {R"(getEventData("pathname") != "/usr/bin/ls")", false},
      {R"(getEventData("pathname") == "")", false},
      {R"(getEventData("pathname") != "")", true},
      {R"(getEventData("gone") == "")", true},
      {R"(getEventData("gone") != "")", false},
      {R"(getEventData("gone") == "x")", false},
      {R"(getEventData("gone") != "x")", true},
      {R"(getEventData("gone") == null)", true},
      {R"(getEventData("pathname") != null)", true},
      {R"(hasData("pathname"))", true},
      {R"(hasData("gone"))", false},
      {R"(!hasData("gone"))", true},
      {R"(getEventData("pathname").startsWith("/usr/"))", true},
      {R"(getEventData("pathname").startsWith("/bin/"))", false},
      {R"(getEventData("pathname").endsWith("/ls"))", true},
      {R"(getEventData("pathname").contains("bin"))", true},
      {R"(getEventData("pathname").contains("sbin"))", false},
      {R"(getEventData("pathname").matches("bin/l"))", true},
      {R"(getEventData("pathname").matches("^/usr/(bin|sbin)/[a-z]+$"))", true},
      {R"(getEventData("pathname").matches("b|x"))", true},
      {R"(getEventData("pathname").matches("^bin"))", false},
      {R"(getEventData("gone").startsWith("x"))", false},
      {R"(!getEventData("gone").startsWith("x"))", true},
      {R"(basename(getEventData("pathname")) == "ls")", true},
      {R"(upper(basename(getEventData("pathname"))) == "LS")", true},
      {R"(lower(getEventData("pathname")).endsWith("LS"))", false},
      {R"(getEventData("pathname") in ["/bin/ls", "/usr/bin/ls"])", true},
      {R"(getEventData("pathname") in LISTERS)", true},
      {R"(getEventData("pathname") in OTHERS)", false},
      {R"(!(getEventData("pathname") in OTHERS))", true},
      {R"(getEventData("gone") in ["", "x"])", true},
      {R"(getEventData("ret") == 3)", true},
      {R"(getEventData("ret") != 3)", false},
      {R"(getEventData("ret") > 2u && getEventData("ret") <= 3)", true},
      {R"(2 < getEventData("ret"))", true},
      {R"(4 < getEventData("ret"))", false},
      {R"(getEventData("ret") >= -1)", true},
      {R"(getEventData("ret") in [1, 3])", true},
      {R"(workload.process.pid == 7 && workload.process.host_pid == 1000)", true},
      {R"(workload.process.real_user.id == 0)", true},
      {R"(workload.process.thread.name == "ls")", true},
      {R"(event.workload.process.thread.name.startsWith("l"))", true},
      {R"(workload.container.id == "abcdef123456")", true},
      {R"(workload.container.id != "")", true},
      {R"(workload.k8s.pod.name != "")", false},
      // && binds more than ||, and ! more than both.
      {R"(hasData("pathname") || hasData("gone") && hasData("gone"))", true},
      {R"((hasData("pathname") || hasData("gone")) && hasData("gone"))", false},
      {R"(!hasData("gone") && !hasData("gone") || hasData("gone"))", true},
      {R"(!!hasData("pathname"))", true},
      {R"(getEventData("pathname") != "a\"b\\c" && getEventData("pathname") != r'\d')", true},
  };
  for (const auto& [expression, is_true] : cases) EXPECT_EQ(IsTrue(expression), is_true) << expression;
}

TEST(Cel, OnTheHostThereIsNoContainer) {
  EXPECT_FALSE(IsTrue(R"(workload.container.id != "")", true));
  EXPECT_FALSE(IsTrue(R"(workload.container.name != "")", true));
  EXPECT_TRUE(IsTrue(R"(workload.container.name == "")", true));
}

TEST(Cel, WhatIsNotKnownIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"(dirname(getEventData("pathname")) == "/")", "column 1: dirname() is not known here"},
      {R"(getEventData("mode") == 1)",
       R"(column 1: getEventData("mode"): of this event expressions may name pathname, gone, ret)"},
      {R"(getEventData("pathname").size() > 3)", "column 26: .size() is not known here"},
      {R"(["a"].exists(x, x == "a"))", "column 7: .exists() is not known here"},
      {R"(process.get(workload.process.unique_id).uid == 0)",
       "column 1: process.get(): data stores are not asked here"},
      {R"(workload.process.host_pidd == 1)",
       "column 1: workload.process.host_pidd is not known here: did you mean workload.process.host_pid?"},
      {R"(workload.process.uid > 0)", "column 1: workload.process.uid is not known here"},
      {R"(timestamp > 3)", "column 1: timestamp is not known here"},
      {R"(getEventData("pathname") in SHELLS)", "column 29: there is no list SHELLS"},
      {R"(getEventData("ret") + 1 == 4)", "column 21: arithmetic (+) is not known here"},
      {R"(getEventData("ret") == 1.5)", "column 25: a number with a fraction is not known here"},
      {R"(getEventData("ret") == 0x10)", "column 24: number 0x10 is not known here"},
      {R"(hasData("ret") ? true : false)", "column 16: a ? b : c is not known here"},
      {R"(true)", "column 1: the constant true is not known here"},
      {R"(getEventData("pathname"))", "column 1: a value alone is no condition"},
      {R"(getEventData("pathname") && hasData("ret"))", "column 1: a value alone is no condition"},
      {R"(hasData("ret") == hasData("gone"))", "column 16: conditions are not compared here"},
      {R"("a" == "a")", "column 5: two constants are not compared here"},
      {R"(getEventData("pathname") == getEventData("gone"))",
       "column 26: two values of an event are not compared here"},
      {R"(getEventData("pathname") == 3)", "column 26: a text and a number are compared"},
      {R"(getEventData("ret") in ["a"])", "column 21: a text and a number are compared"},
      {R"(getEventData("pathname") < "b")", "column 26: texts are compared by == and != here, not by <"},
      {R"(getEventData("pathname") in [])", "column 26: the list is empty"},
      {R"(getEventData("pathname").startsWith(""))", ".startsWith() needs a text that is written there and not empty"},
      {R"(getEventData("pathname")[0] == "a")", "column 25: an index is not known here"},
      {R"(getEventData(pathname) == "a")", "pathname is not known here"},
      {R"(getEventData("pathname") == "a)", "column 29: the text has no end"},
      {R"(getEventData("pathname") == "\q")", "this escape in a text is not known here"},
      {R"(getEventData("pathname") == )", "column 29: expected a value, not its end"},
      {R"(hasData("ret") hasData("ret"))", "column 16: unexpected hasData"},
      {R"((hasData("ret"))", "expected ), not its end"},
      {R"(hasData())", "hasData() needs one value"},
      {"workload.", "expected a name after the dot"},
      {"", "expected a value, not its end"},
      {std::string(200, '!') + "hasData(\"ret\")", "too deep"},
      {std::string(200, '(') + "hasData(\"ret\")", "too deep"},
      {std::string(20000, ' '), "more than 16384 bytes"},
  };
  for (const auto& [expression, error] : cases) {
    const auto condition = CompileCondition(expression, KnownNames());
    ASSERT_FALSE(condition.ok()) << expression << ": " << *condition;
    EXPECT_THAT(Message(condition.status()), HasSubstr(error)) << expression;
  }
}

TEST(Cel, ValuesAreFieldsOrConstants) {
  const auto text_of = [](const std::string& expression) {
    const auto value = CompileValue(expression, KnownNames());
    return value.ok() ? value->text : Message(value.status());
  };
  EXPECT_EQ(text_of("getEventData(\"pathname\")"), "proc.exepath");
  EXPECT_EQ(text_of("lower(workload.process.thread.name)"), "tolower(proc.name)");
  EXPECT_EQ(text_of("workload.process.pid"), "proc.vpid");
  EXPECT_EQ(text_of("\"shell\""), "shell");
  EXPECT_EQ(text_of("-3"), "-3");
  EXPECT_THAT(text_of("hasData(\"ret\")"), HasSubstr("a condition as a value is not known here"));
  EXPECT_THAT(text_of("[\"a\"]"), HasSubstr("a list or null as a value is not known here"));
  EXPECT_THAT(text_of("\"a\" + \"b\""), HasSubstr("arithmetic (+)"));
}

// Random words in a row: each text is refused, or is a condition that rules can load.
TEST(Cel, WhatIsTakenIsACondition) {
  const std::vector<std::string> words = {"getEventData(\"pathname\")",
                                          "getEventData(\"ret\")",
                                          "hasData(\"gone\")",
                                          "workload.container.name",
                                          "LISTERS",
                                          "\"a\"",
                                          "''",
                                          "3",
                                          "null",
                                          "(",
                                          ")",
                                          "[",
                                          "]",
                                          "!",
                                          "-",
                                          "&&",
                                          "||",
                                          "==",
                                          "!=",
                                          "<",
                                          ">=",
                                          "in",
                                          ",",
                                          ".startsWith(\"/usr\")",
                                          ".matches(\"a+\")",
                                          "lower(",
                                          "basename(",
                                          "true",
                                          "?",
                                          "r\"\\\"",
                                          "\x01"};
  std::mt19937 random(1);
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (std::size_t left = random() % 9 + 1; left > 0; --left) text += words[random() % words.size()] + " ";
    const auto condition = CompileCondition(text, KnownNames());
    if (!condition.ok()) {
      EXPECT_THAT(Message(condition.status()), testing::StartsWith("column ")) << text;
      continue;
    }
    taken++;
    EXPECT_TRUE(CompileDrafts("c", {{.name = "r",
                                     .description = "d",
                                     .condition = "evt.type = openat and " + *condition,
                                     .output = "o",
                                     .priority = "INFO",
                                     .tags = {},
                                     .place = {}}})
                    .ok())
        << text << " -> " << *condition;
  }
  EXPECT_GT(taken, 50);
}

}  // namespace
}  // namespace sluice::policy::tracee
