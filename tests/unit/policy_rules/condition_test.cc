// What conditions are read, as what, and what is wrong with others.
#include <gtest/gtest.h>

#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

std::string TreeOf(const std::string& text) {
  auto parsed = ParseCondition(text);
  if (const auto* error = std::get_if<ConditionError>(&parsed)) {
    return fmt::format("error at {}:{}: {}", error->place.line, error->place.column, error->what);
  }
  return ToText(*std::get<ConditionPtr>(parsed));
}

struct Reading {
  const char* text;
  const char* tree;
};

TEST(Condition, IsReadAsATree) {
  for (const Reading& one : std::initializer_list<Reading>{
           {"proc.name=cat", "proc.name = \"cat\""},
           {"proc.name == cat", "proc.name = \"cat\""},
           {"  proc.name\n\t=  cat ", "proc.name = \"cat\""},
           {"a.b=1 and c.d=2 or e.f=3", "((a.b = \"1\") and (c.d = \"2\")) or (e.f = \"3\")"},
           {"a.b=1 or c.d=2 and e.f=3", "(a.b = \"1\") or ((c.d = \"2\") and (e.f = \"3\"))"},
           {"(a.b=1 or c.d=2) and e.f=3", "((a.b = \"1\") or (c.d = \"2\")) and (e.f = \"3\")"},
           {"a.b=1 and(c.d=2)or(e.f=3)", "((a.b = \"1\") and (c.d = \"2\")) or (e.f = \"3\")"},
           {"not a.b=1", "not (a.b = \"1\")"},
           {"not not a.b=1", "a.b = \"1\""},
           {"not(a.b=1)", "not (a.b = \"1\")"},
           {"not   not(a.b=1)", "a.b = \"1\""},
           {"((a.b=1))", "a.b = \"1\""},
           {"macro_1", "macro_1"},
           {"notable and nothing", "(notable) and (nothing)"},
           {"not container", "not (container)"},
           {"a.b exists", "a.b exists"},
           {"a.b in (x, 'y z',\"w\")", "a.b in (\"x\", \"y z\", \"w\")"},
           {"a.b in(x)", "a.b in (\"x\")"},
           {"a.b in ()", "a.b in ()"},
           {"a.b in name", "a.b in (\"name\")"},
           {"a.b intersects (x)", "a.b intersects (\"x\")"},
           {"a.b pmatch (/etc, /var)", "a.b pmatch (\"/etc\", \"/var\")"},
           {"a.b[1] = x", "a.b[1] = \"x\""},
           {"a.b[x y] = x", "error at 1:6: \"]\" should be here, and not y]"},
           {"a.b['x y'] = x", "a.b[\"x y\"] = \"x\""},
           {"a.b[/etc*] = x", "a.b[/etc*] = \"x\""},
           {"a.b.c.d = x", "a.b.c.d = \"x\""},
           {"a.b >= 0", "a.b >= 0"},
           {"a.b>=-1.5e+3", "a.b >= -1.5e+3"},
           {"a.b<0x1F", "a.b < 0x1F"},
           {"a.b contains x", "a.b contains \"x\""},
           {"a.b regex '^a.*$'", "a.b regex \"^a.*$\""},
           {"a.b startswith oneof (x, y)", "a.b startswith oneof (\"x\", \"y\")"},
           {"a.b = anyof (x)", "a.b = anyof (\"x\")"},
           {"a.b = anyof list_name", "a.b = anyof (\"list_name\")"},
           {"a.b = anyof", "a.b = \"anyof\""},
           {"a.b = anyof and c.d = 1", "(a.b = \"anyof\") and (c.d = \"1\")"},
           {"a.b = allof or c.d = 1", "(a.b = \"allof\") or (c.d = \"1\")"},
           {"a.b = val(c.d)", "a.b = val(c.d)"},
           {"a.b in (val(c.d))", "error at 1:12: \",\" or \")\" should be here, and not (c.d))"},
           {"a.b = tolower( c.d )", "a.b = tolower(c.d)"},
           {"toupper(a.b[2]) = X", "toupper(a.b[2]) = \"X\""},
           {"toupper(b64(a.b)) = X", "toupper(b64(a.b)) = \"X\""},
           {"concat(a.b, \"-\", 1) = x", "concat(a.b, \"-\", \"1\") = \"x\""},
           {"join(',', (a.b, 'x')) = x", "join(\",\", (a.b, \"x\")) = \"x\""},
           {"getopt(a.b, 'c:')[c] = x", "getopt(a.b, \"c:\")[c] = \"x\""},
           {"len(a.b) > 3", "len(a.b) > 3"},
           {R"(a.b = "q\"q")", R"(a.b = "q\"q")"},
           {R"(a.b = 'q\'q')", R"(a.b = "q'q")"},
           {R"(a.b = "\x41\n\t\\\/")", R"(a.b = "A\x0a\x09\\/")"},
           {R"(a.b = "x\ y")", R"(a.b = "x\\y")"},
           {"a.b = 10.0.0.0/8", "a.b = \"10.0.0.0/8\""},
           {"a.b = runc:[0:PARENT]", "a.b = \"runc:[0:PARENT]\""},
       }) {
    EXPECT_EQ(TreeOf(one.text), one.tree) << one.text;
  }
}

TEST(Condition, WhatIsWrongIsSaidWithItsPlace) {
  for (const Reading& one : std::initializer_list<Reading>{
           {"", "error at 1:1: the condition is empty"},
           {"   ", "error at 1:4: a field, a macro or \"(\" should be here, and not the end"},
           {"a.b", "error at 1:4: an operator should be here, and not the end"},
           {"a.b = ", "error at 1:7: a text or val(FIELD) should be here, and not the end"},
           {"a.b ~ x", "error at 1:5: an operator should be here, and not ~"},
           {"a.b containsx", "error at 1:5: an operator should be here, and not containsx"},
           {"a.b contains\"x\"", "error at 1:5: an operator should be here, and not \"contains\\\"x\\\"\""},
           {"a.b infoo", "error at 1:5: an operator should be here, and not infoo"},
           {"a.b > x", "error at 1:7: a number or val(FIELD) should be here, and not x"},
           {"a.b in x y", "error at 1:10: \"and\", \"or\" or the end should be here, and not y"},
           {"a.b in (x", "error at 1:10: \",\" or \")\" should be here, and not the end"},
           {"a.b in (x,)", "error at 1:11: a text or val(FIELD) should be here, and not )"},
           {"a.b in /etc", "error at 1:8: a list in parentheses should be here, and not /etc"},
           {"(a.b = x", "error at 1:9: \")\" should be here, and not the end"},
           {"a.b = x)", "error at 1:8: \"and\", \"or\" or the end should be here, and not )"},
           {"a.b = x and", "error at 1:12: a blank or \"(\" should follow \"and\", and not the end"},
           {"a.b = x andy", "error at 1:12: a blank or \"(\" should follow \"and\", and not y"},
           {"a.b = x or", "error at 1:11: a blank or \"(\" should follow \"or\", and not the end"},
           {"a.b = x and or c", "error at 1:16: \"and\", \"or\" or the end should be here, and not c"},
           {"a.b = x\nand c.d ?", "error at 2:9: an operator should be here, and not ?"},
           {"a.b = \"x", "error at 1:7: the text in quotes does not end"},
           {R"(a.b = "\q")", "error at 1:8: there is no escape \\q"},
           {R"(a.b = "\x4")", "error at 1:8: \\x needs two hex digits"},
           {R"(a.b = '\"')", "error at 1:8: \\\" is no escape in a text in ' quotes"},
           {"a.b[] = x", "error at 1:5: an argument should be in the brackets, and not ]"},
           {"a.b[1 = x", "error at 1:6: \"]\" should be here, and not ="},
           {"tolower(a.b = x", "error at 1:13: \")\" should close tolower(, and not ="},
           {"tolower() = x", "error at 1:9: a field, a text in quotes or a number should be here, and not )"},
           {"a.b = val(x)", "error at 1:11: a field should be here, and not x)"},
           {"val(a.b) = x", "error at 1:4: \"and\", \"or\" or the end should be here, and not (a.b)"},
           {"1 = 1", "error at 1:1: a field, a macro or \"(\" should be here, and not 1"},
           {"not", "not"},
       }) {
    EXPECT_EQ(TreeOf(one.text), one.tree) << one.text;
  }
}

TEST(Condition, ReadsBackAsItself) {
  for (const char* text : {"a.b = 'x y' and not (c.d in (1, \"2'3\") or e)", "not (a or b.c exists)",
                           "a.b[\"x ]\"] = \"\\x01\\\\\"", "join('', (a.b, 'x', len(c.d))) glob \"*\""}) {
    const std::string once = TreeOf(text);
    EXPECT_EQ(TreeOf(once), once) << text;
  }
}

TEST(Condition, DepthAndLengthAreBounded) {
  const auto nested = [](std::size_t n) { return std::string(n, '(') + "a.b=1" + std::string(n, ')'); };
  EXPECT_EQ(TreeOf(nested(190)), "a.b = \"1\"");
  EXPECT_NE(TreeOf(nested(250)).find("nested too deeply"), std::string::npos);
  EXPECT_NE(TreeOf(nested(300'000)).find("nested too deeply"), std::string::npos);
  EXPECT_NE(TreeOf(std::string(kMaxConditionBytes + 1, 'a')).find("at most"), std::string::npos);
  EXPECT_NE(TreeOf(nested(10) + std::string(100'000, '(')).find("error"), std::string::npos);
}

struct Problem {
  const char* text;
  const char* what;
};

TEST(Binding, WrongNamesTypesAndValuesAreErrors) {
  for (const Problem& one : std::initializer_list<Problem>{
           {"proc.nmae = x", "there is no field proc.nmae: did you mean proc.name?"},
           {"proc.name[1] = x", "field proc.name has no argument"},
           {"proc.aname[x] = x", "field proc.aname: the argument is a number from 0, not x"},
           {"proc.aname[-1] = x", "field proc.aname: the argument is a number from 0, not -1"},
           {"container.mount.dest = x", "field container.mount.dest needs an argument: [N] or [PATTERN]"},
           {"evt.arg = x", "field evt.arg needs an argument: .NAME or [N]"},
           {"evt.arg.nonsense = x", "there is no field evt.arg.nonsense: no event has such an argument"},
           {"evt.type = opne", "there is no event type opne: did you mean open?"},
           {"evt.type in (open, zzzzzzzzz)", "there is no event type zzzzzzzzz"},
           {"fd.num contains 3", "fd.num is of type number, which \"contains\" does not compare"},
           {"fd.num = x", "fd.num: the value is a whole number, not x"},
           {"fd.num = 99999999999999999999", "fd.num: the value is a whole number, not 99999999999999999999"},
           {"proc.tty = -1", "proc.tty: the value is a whole number from 0, not -1"},
           {"fd.sport = 65536", "fd.sport: the value is a port number from 0 to 65535, not 65536"},
           {"fd.sport = http", "fd.sport: the value is a port number from 0 to 65535, not http"},
           {"evt.is_open_read = yes", "evt.is_open_read: the value is true or false, not yes"},
           {"evt.is_open_read > 1", "evt.is_open_read is of type true or false, which \">\" does not compare"},
           {"fd.ip = 10.0.0", "fd.ip: the value is an address, not 10.0.0"},
           {"fd.net = 10.0.0.1", "fd.net: the value is a network such as 10.0.0.0/8, not 10.0.0.1"},
           {"fd.net = 10.0.0.0/33", "fd.net: the value is a network such as 10.0.0.0/8, not 10.0.0.0/33"},
           {"fd.sip startswith 10", "fd.sip is of type address, which \"startswith\" does not compare"},
           {"proc.name bcontains 41", "proc.name is of type text, which \"bcontains\" does not compare"},
           {"evt.buffer bcontains 4", "bcontains takes pairs of hex digits, not 4"},
           {"evt.buffer regex a", "evt.buffer is of type bytes, which \"regex\" does not compare"},
           {"proc.name regex '('", "regex (: missing ): ("},
           {"proc.name regex val(proc.exe)", "\"regex\" does not compare with a field"},
           {"proc.name pmatch val(proc.exe)", "\"pmatch\" does not compare with a field"},
           {"proc.name = val(proc.pid)", "proc.name and proc.pid are of different types: text and number"},
           {"fd.ip = val(fd.sip)", "field fd.ip is not compared with another field"},
           {"fd.sip = val(fd.ip)", "field fd.ip is not compared with another field"},
           {"tolower(fd.num) = x", "tolower() is of texts, not of number"},
           {"tolower(proc.aname) = x", "field proc.aname cannot be in tolower()"},
           {"tolower(proc.name, proc.exe) = x", "tolower() is of one value"},
           {"tolower(proc.name)[1] = x", "tolower() has no argument in brackets"},
           {"join(',', proc.name) = x", "join() needs a list as second value"},
           {"join((proc.name), ',') = x", "join() needs a text as separator"},
           {"concat(proc.name) = x", "concat() needs two values or more"},
           {"concat(proc.name, fd.num) = x", "concat() is of texts, not of number"},
           {"getopt((proc.name), 'a')[ab] = x", "getopt() has one letter in brackets"},
           {"getopt((proc.name), 'a') = x",
            "getopt((proc.name), \"a\") is a list: it is compared by in, intersects or exists, not by ="},
           {"proc.name = \"a\\x00b\"", "the value has a NUL byte, which no event has"},
           {"a_macro", "macro a_macro is not expanded"},
       }) {
    const std::string what = ProblemOf(one.text);
    EXPECT_NE(what.find(one.what), std::string::npos) << one.text << "\n" << what;
    EXPECT_FALSE(what.empty()) << one.text;
  }
}

TEST(Binding, UnknownNamesAreMarked) {
  const auto is_unknown = [](const char* text) {
    const BindResult bound = Bind(std::get<ConditionPtr>(ParseCondition(text)));
    return bound.error && bound.error->unknown_name;
  };
  EXPECT_TRUE(is_unknown("no.field = x"));
  EXPECT_TRUE(is_unknown("evt.type = no_type"));
  EXPECT_FALSE(is_unknown("proc.name[1] = x"));
  EXPECT_FALSE(is_unknown("fd.num = x"));
}

std::vector<std::string> WarningsOf(const char* text) {
  std::vector<std::string> texts;
  for (const ConditionWarning& one : Bind(std::get<ConditionPtr>(ParseCondition(text))).warnings) {
    texts.push_back(one.what);
  }
  return texts;
}

TEST(Binding, WhatIsProbablyNotMeantIsAWarning) {
  EXPECT_EQ(WarningsOf("proc.name = 'proc.pname'"),
            std::vector<std::string>{"proc.pname is compared as a text: the field of that name is val(proc.pname)"});
  EXPECT_EQ(WarningsOf("proc.name = 'proc.aname[2]'").size(), 1U);
  EXPECT_EQ(WarningsOf("proc.name = 'tolower(proc.name)'"),
            std::vector<std::string>{"tolower(proc.name) is compared as a text: without quotes it is a function"});
  EXPECT_EQ(WarningsOf("proc.name regex '^abc.*'").size(), 1U);
  EXPECT_EQ(WarningsOf("evt.dir = <").size(), 0U + WarningsOf("evt.dir = '<'").size());
  EXPECT_TRUE(WarningsOf("proc.name regex 'a[bc]d'").empty());
  EXPECT_TRUE(WarningsOf("proc.name = 'proc.nothing'").empty());
}

TEST(Macros, AreExpandedInTheTree) {
  Macros macros;
  const auto define = [&](const std::string& name, const std::string& text) {
    const std::size_t order = macros.size();
    macros[name] = {
        .condition = std::get<ConditionPtr>(ParseCondition(text, name)), .order = order, .last_order = order};
  };
  define("a", "x.y = 1 or x.y = 2");
  define("b", "a and x.z = 3");
  define("loop", "loop or x.y = 1");
  const auto expand = [&](const std::string& text, std::size_t seen = 100) {
    std::vector<std::string> used;
    auto expanded = ExpandMacros(std::get<ConditionPtr>(ParseCondition(text)), macros, seen, used);
    if (const auto* error = std::get_if<ConditionError>(&expanded)) return error->what;
    std::string names;
    for (const std::string& name : used) names += " " + name;
    return ToText(*std::get<ConditionPtr>(expanded)) + names;
  };
  EXPECT_EQ(expand("not b"), "not (((x.y = \"1\") or (x.y = \"2\")) and (x.z = \"3\")) a b");
  EXPECT_EQ(expand("b", 1), "macro b is defined only after this");
  EXPECT_EQ(expand("bb"), "there is no macro bb: did you mean b?");
  EXPECT_EQ(expand("loop"), "macro loop uses itself");
}

TEST(Macros, CannotGrowWithoutEnd) {
  Macros macros;
  macros["m0"] = {.condition = std::get<ConditionPtr>(ParseCondition("a.b = 1")), .order = 0, .last_order = 0};
  for (std::size_t i = 1; i < 64; ++i) {
    const std::string text = fmt::format("m{} and not m{}", i - 1, i - 1);
    macros[fmt::format("m{}", i)] = {
        .condition = std::get<ConditionPtr>(ParseCondition(text)), .order = i, .last_order = i};
  }
  std::vector<std::string> used;
  auto expanded = ExpandMacros(std::get<ConditionPtr>(ParseCondition("m63")), macros, 100, used);
  ASSERT_TRUE(std::holds_alternative<ConditionError>(expanded));
  EXPECT_EQ(std::get<ConditionError>(expanded).what, "macros make the condition too large");
  std::string last = "a.b = 1";
  for (std::size_t i = 0; i < 3'000; ++i) {
    macros[fmt::format("n{}", i)] = {
        .condition = std::get<ConditionPtr>(ParseCondition(i == 0 ? last : fmt::format("not n{}", i - 1))),
        .order = i,
        .last_order = i};
  }
  expanded = ExpandMacros(std::get<ConditionPtr>(ParseCondition("n2999")), macros, 10'000, used);
  ASSERT_TRUE(std::holds_alternative<ConditionError>(expanded));
}

TEST(Lists, AreReplacedInTheText) {
  const auto replaced = [](std::string text, const std::vector<std::string>& items) {
    const bool any = ReplaceList(text, "list", items);
    return (any ? "" : "same: ") + text;
  };
  EXPECT_EQ(replaced("a.b in (list)", {"x", "y z", "'q r'"}), "a.b in ( x, \"y z\", 'q r' )");
  EXPECT_EQ(replaced("a.b in (list, list)", {"x"}), "a.b in ( x , x )");
  EXPECT_EQ(replaced("a.b in (lists, my-list, list2)", {"x"}), "same: a.b in (lists, my-list, list2)");
  EXPECT_EQ(replaced("a.b in (c, list)", {}), "a.b in (c  )");
  EXPECT_EQ(replaced("a.b in (list, c)", {}), "a.b in (   c)");
  EXPECT_EQ(replaced("a.b in (list)", {}), "a.b in (  )");
  EXPECT_EQ(replaced("a.b = \"the list here\"", {"x"}), "a.b = \"the x here\"");
  EXPECT_EQ(replaced("list", {"list"}), "list ");
}

}  // namespace
}  // namespace sluice::policy::rules
