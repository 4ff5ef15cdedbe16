// Operators and values of filters on arguments.
#include "policy/tracing/number.h"
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

constexpr char kAt[] = "spec.kprobes[0].selectors[0].matchArgs[0].";

FilterValues ValuesOf(const std::string& type, const std::string& operator_and_values) {
  const auto policy = PolicyOf(Filter(type, operator_and_values));
  return policy == nullptr ? FilterValues() : policy->hooks[0].selectors[0].args[0].values;
}

struct ValueCase {
  std::string type;
  std::string right;
  std::string wrong;
  std::string error;
};

void CheckValues(const std::vector<ValueCase>& cases) {
  for (const ValueCase& one : cases) {
    Check({{Filter(one.type, one.right), Filter(one.type, one.wrong), kAt + one.error}});
  }
}

TEST(TracingNumbers, FormsAndSizes) {
  EXPECT_EQ(NumberOf("0x10", false, 8), 16U);
  EXPECT_EQ(NumberOf("017", true, 8), 15U);
  EXPECT_EQ(NumberOf("0o17", true, 8), 15U);
  EXPECT_EQ(NumberOf("0b101", true, 8), 5U);
  EXPECT_EQ(NumberOf("1_000", true, 16), 1000U);
  EXPECT_EQ(NumberOf("0", false, 8), 0U);
  EXPECT_EQ(NumberOf("-0", false, 8), 0U);
  EXPECT_EQ(NumberOf("-1", true, 32), ~std::uint64_t{0});
  EXPECT_EQ(NumberOf("-128", true, 8), ~std::uint64_t{0} - 127);
  EXPECT_EQ(NumberOf("-9223372036854775808", true, 64), std::uint64_t{1} << 63U);
  EXPECT_EQ(NumberOf("18446744073709551615", false, 64), ~std::uint64_t{0});
  for (const char* text : {"", "-", "+", "x", "1x", "0x", "08", "1__0", "_1", "1_", "--1", "1.0", " 1"}) {
    EXPECT_EQ(NumberOf(text, true, 64), std::nullopt) << text;
  }
  struct Edge {
    const char* text;
    bool is_signed;
    int bits;
  };
  for (const Edge& edge : {Edge{"128", true, 8},
                           {"-129", true, 8},
                           {"256", false, 8},
                           {"-1", false, 8},
                           {"2147483648", true, 32},
                           {"4294967296", false, 32},
                           {"9223372036854775808", true, 64},
                           {"18446744073709551616", false, 64}}) {
    EXPECT_EQ(NumberOf(edge.text, edge.is_signed, edge.bits), std::nullopt) << edge.text;
  }
}

TEST(TracingValues, NumbersFitTheirType) {
  CheckValues({
      {"int", "Equal, values: [1, \"-2\", 0x10, '020']", "Equal, values: [/etc]",
       "values[0]: must be a number of type int (-2147483648 to 2147483647), got \"/etc\""},
      {"uint8", "Equal, values: [255]", "Equal, values: [256]",
       "values[0]: must be a number of type uint8 (0 to 255), got \"256\""},
      {"int8", "Equal, values: [-128]", "Equal, values: [-129]",
       "values[0]: must be a number of type int8 (-128 to 127), got \"-129\""},
      {"uint32", "Equal, values: [4294967295]", "Equal, values: [-1]",
       "values[0]: must be a number of type uint32 (0 to 4294967295), got \"-1\""},
      {"uint64", "GT, values: [18446744073709551615]", "LT, values: [18446744073709551616]",
       "values[0]: must be a number of type uint64 (0 to 18446744073709551615), got \"18446744073709551616\""},
      {"int", "Mask, values: [1]", "Mask, values: [[1]]", "values[0]: must be a single value"},
      {"int", "Equal, values: [1, 2, 3, 4]", "Equal, values: [1, 2, 3, 4, 5]",
       "values: 5 values: operator Equal takes at most 4; InMap takes more numbers"},
      {"int", "Equal, values: [1]", "Equal, values: []", "values: operator Equal needs at least one value"},
      {"int", "Equal, values: [1]", "Equal", "values: missing"},
      {"int", "Equal, values: [1]", "Equal, values: 1", "values: must be a list, got 1"},
      {"capability", "Equal, values: [CAP_SYS_ADMIN, 40]", "Equal, values: [41]",
       "values[0]: must be a number of type capability (0 to 40) or a name such as CAP_SYS_ADMIN, got \"41\""},
  });
  EXPECT_EQ(ValuesOf("int", "Equal, values: [-2, 0x10]").numbers,
            (std::vector<NumberRange>{{~std::uint64_t{1}, ~std::uint64_t{1}}, {16, 16}}));
  EXPECT_EQ(ValuesOf("capability", "Equal, values: [CAP_SYS_ADMIN]").numbers, (std::vector<NumberRange>{{21, 21}}));
}

TEST(TracingValues, Ranges) {
  CheckValues({
      {"int", "InRange, values: ['-5:5', '7:7']", "InRange, values: ['5:-5']",
       "values[0]: range \"5:-5\": the last number is below the first"},
      {"uint32", "NotInRange, values: ['1:2']", "NotInRange, values: ['2']",
       "values[0]: must be a range such as \"1:10\", got \"2\""},
      {"uint16", "InRange, values: ['0:65535']", "InRange, values: ['0:65536']",
       "values[0]: must be a number of type uint16 (0 to 65535), got \"65536\""},
      {"uint16", "InRange, values: ['0:1']", "InRange, values: ['0:1:2']",
       "values[0]: must be a number of type uint16 (0 to 65535), got \"1:2\""},
      {"uint64", "InMap, values: [1, '3:9', 2, 4, 5]", "InMap, values: ['list:dups']",
       "values[0]: spec.lists has no list \"dups\": add it, or correct the name"},
  });
  EXPECT_EQ(ValuesOf("uint64", "NotInMap, values: [1, '3:9']").numbers, (std::vector<NumberRange>{{1, 1}, {3, 9}}));
}

TEST(TracingValues, TextsAndPaths) {
  const std::string a99(99, 'a'), a127(127, 'a'), a256(256, 'a'), a4094(4094, 'a');
  CheckValues({
      {"file", "Equal, values: [/etc/passwd]", "Equal, values: [4]", "values[0]: must be a string: quote it (\"4\")"},
      {"file", "Equal, values: [/etc/passwd]", "Equal, values: [\"4\"]",
       "values[0]: type file is a whole path: \"4\" must begin with \"/\". Postfix compares the end of a path"},
      {"filename", "Equal, values: [passwd]", "Equal, values: ['']",
       "values[0]: is empty, and would match everything or nothing"},
      {"string", "Equal, values: [\"security.capability\\0\"]", "Equal, values: [\"a\\0b\"]",
       "values[0]: \"a\\x00b\" has a NUL inside: type string ends at the first one"},
      {"file", "Prefix, values: [" + a256 + "]", "Prefix, values: [a" + a256 + "]",
       "values[0]: 257 bytes: at most 256 are possible"},
      {"file", "Postfix, values: [" + a127 + "]", "NotPostfix, values: [a" + a127 + "]",
       "values[0]: 128 bytes: at most 127 are possible"},
      {"string", "SubString, values: [" + a99 + "]", "SubStringIgnCase, values: [a" + a99 + "]",
       "values[0]: 100 bytes: at most 99 are possible"},
      {"path", "Equal, values: [/" + a4094 + "]", "Equal, values: [/a" + a4094 + "]",
       "values[0]: 4096 bytes: at most 4095 are possible"},
  });
  EXPECT_EQ(ValuesOf("string", "Equal, values: [\"a\\0\"]").texts, std::vector<std::string>{"a"});
  EXPECT_EQ(ValuesOf("char_buf", "Equal, values: [\"a\\0\"]").texts, (std::vector<std::string>{std::string("a\0", 2)}));
}

TEST(TracingValues, OfSockets) {
  CheckValues({
      {"sock", "DAddr, values: [127.0.0.1, 10.0.0.0/8, '::1', 'fd00::/8']", "DAddr, values: [10.0.0]",
       "values[0]: \"10.0.0\" is not an IPv4 or IPv6 address"},
      {"skb", "NotDAddr, values: [0.0.0.0/0]", "NotDAddr, values: [10.0.0.0/33]",
       "values[0]: \"10.0.0.0/33\" is not a CIDR: the length must be a number from 0 to 32"},
      {"sockaddr", "SAddr, values: [10.0.0.1]", "DAddr, values: [10.0.0.1]",
       "operator: operator DAddr does not fit type sockaddr: it has SAddr, NotSAddr, SPort, NotSPort, SPortPriv, "
       "NotSPortPriv, Family"},
      {"sock", "DPort, values: [80, '8000:8999']", "DPort, values: [65536]",
       "values[0]: must be a port (0 to 65535), got \"65536\""},
      {"sock", "SPort, values: [22]", "SPort, values: [ssh]", "values[0]: must be a port (0 to 65535), got \"ssh\""},
      {"socket", "Protocol, values: [IPPROTO_TCP, 17]", "Protocol, values: [TCP]",
       "values[0]: must be an IP protocol (0 to 262) or a name such as IPPROTO_IP, got \"TCP\""},
      {"sock", "Family, values: [AF_INET6, 2]", "Family, values: [INET]",
       "values[0]: must be an address family (0 to 45) or a name such as AF_UNSPEC, got \"INET\""},
      {"sock", "State, values: [TCP_SYN_RECV, 1]", "State, values: [TCP_OPEN]",
       "values[0]: must be a TCP state (0 to 13) or a name such as TCP_ESTABLISHED, got \"TCP_OPEN\""},
      {"skb", "DPortPriv", "DPortPriv, values: [80]", "values: operator DPortPriv takes no values: leave them out"},
      {"sock", "NotSportPriv", "SportPriv", "operator: unknown operator \"SportPriv\": did you mean SPortPriv?"},
      {"sockaddr_un", "Equal, values: [/run/a.sock]", "SPort, values: [1]",
       "operator: operator SPort does not fit type sockaddr_un: it has Equal, NotEqual, Prefix, NotPrefix, Postfix, "
       "NotPostfix, Family"},
  });
  const FilterValues addresses = ValuesOf("sock", "DAddr, values: [127.0.0.1/8, '::1']");
  ASSERT_EQ(addresses.addresses.size(), 2U);
  EXPECT_EQ(addresses.addresses[0].ToString(), "127.0.0.0/8");
  EXPECT_EQ(addresses.addresses[1].ToString(), "::1/128");
  EXPECT_EQ(ValuesOf("sock", "State, values: [TCP_SYN_RECV]").numbers, (std::vector<NumberRange>{{3, 3}}));
  EXPECT_EQ(ValuesOf("skb", "Protocol, values: [IPPROTO_UDP]").numbers, (std::vector<NumberRange>{{17, 17}}));
}

TEST(TracingValues, OfFileTypes) {
  CheckValues({{"file", "FileType, values: [reg, dir]", "NotFileType, values: [rag]",
                "values[0]: unknown type of file \"rag\": did you mean reg?"},
               {"path", "NotFileType, values: [lnk, pipe, char, sock]", "FileType, values: [reg, dir, lnk, chr, blk]",
                "values: 5 values: operator FileType takes at most 4"}});
  EXPECT_EQ(ValuesOf("file", "FileType, values: [reg, dir]").numbers,
            (std::vector<NumberRange>{{0100000, 0100000}, {0040000, 0040000}}));
}

TEST(TracingOperators, FitTheTypeOrSaySo) {
  for (const ArgTypeInfo& type : kArgTypes) {
    for (const OperatorInfo& op : kOperators) {
      if (op.form == ValueForm::kRefused || type.type == ArgType::kDataLoc) continue;
      const bool two = op.op == Operator::kCapabilitiesGained;
      std::string value = "1";
      if (op.form == ValueForm::kRange) value = "'1:2'";
      if (op.form == ValueForm::kAddress) value = "10.0.0.1";
      if (op.form == ValueForm::kFileType) value = "reg";
      if (Has(kTextClasses, type.values) && op.form != ValueForm::kFamily && op.form != ValueForm::kFileType)
        value = "/a";
      const std::string filter = fmt::format("{}, operator: {}{}", two ? "args: [0, 1]" : "index: 0", op.name,
                                             op.form == ValueForm::kNone ? "" : ", values: [" + value + "]");
      const std::string spec =
          Function(fmt::format("args: [{{index: 0, type: {}}}, {{index: 1, type: {}}}], selectors: "
                               "[{{matchArgs: [{{{}}}]}}]",
                               type.name, type.name, filter));
      const std::string error = ErrorOf(spec);
      if (Has(op.classes, type.values)) {
        EXPECT_EQ(error, "no error") << spec;
      } else {
        EXPECT_NE(error.find(".operator: "), std::string::npos) << spec << ": " << error;
      }
    }
  }
}

TEST(TracingOperators, AreKnownOrRefused) {
  EXPECT_EQ(ErrorOf(Filter("int", "CelExpr, values: ['arg0 == 1']")),
            std::string(kAt) + "operator: CelExpr: refused: expressions are not compiled for the kernel");
  EXPECT_EQ(ErrorOf(Filter("int", "Equals, values: [1]")),
            std::string(kAt) + "operator: unknown operator \"Equals\": did you mean Equal?");
  EXPECT_EQ(
      ErrorOf(Filter("auto", "Equal, values: [1]")),
      std::string(kAt) + "operator: the argument is of type auto: give it a type, so that the values can be checked");
  EXPECT_EQ(ErrorOf(Filter("nop", "Equal, values: [1]")),
            std::string(kAt) + "operator: operator Equal does not fit: type nop has nothing to compare");
  EXPECT_EQ(ErrorOf(Function("args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, values: [1]}]}]")),
            std::string(kAt) + "operator: missing");
  for (const OperatorAlias& alias : kOperatorAliases) {
    const bool number = InfoOf(alias.op).form == ValueForm::kOfType;
    const auto policy =
        PolicyOf(Filter(number ? "int" : "sock", fmt::format("{}{}", alias.name, number ? ", values: [1]" : "")));
    ASSERT_NE(policy, nullptr) << alias.name;
    EXPECT_EQ(policy->hooks[0].selectors[0].args[0].op, alias.op) << alias.name;
  }
}

TEST(TracingOperands, AreEntriesOfTheHook) {
  const std::string two =
      "args: [{index: 1, type: kernel_cap_t}, {index: 3, type: cap_effective}], selectors: [{matchArgs: [{";
  Check({
      {Function(two + "index: 3, operator: Equal, values: [0x1000]}]}]"),
       Function(two + "index: 0, operator: Equal, values: [0]}]}]"),
       std::string(kAt) + "index: no argument 0: args of the hook has no entry with that index. Add it there"},
      {Function(two + "args: [1], operator: NotEqual, values: ['CAP_NET_RAW,CAP_SYS_ADMIN']}]}]"),
       Function(two + "args: [2], operator: NotEqual, values: [0]}]}]"),
       std::string(kAt) + "args[0]: no entry 2: the hook has 2 of args, counted from 0"},
      {Function(two + "args: [0, 1], operator: CapabilitiesGained}]}]"),
       Function(two + "index: 1, operator: CapabilitiesGained}]}]"),
       std::string(kAt).substr(0, sizeof(kAt) - 2) +
           ": operator CapabilitiesGained compares two arguments: write args: [NEW, OLD]"},
      {Function(two + "args: [0], operator: Mask, values: [1]}]}]"),
       Function(two + "args: [0, 1], operator: Mask, values: [1]}]}]"),
       std::string(kAt).substr(0, sizeof(kAt) - 2) + ": operator Mask compares one argument"},
      {Function(two + "args: [0], operator: Equal, values: [CAP_NET_RAW]}]}]"),
       Function(two + "args: [0], operator: Equal, values: [NET_RAW]}]}]"),
       std::string(kAt) + "values[0]: must be a mask such as 0x1000, or names of capabilities with commas between, got "
                          "\"NET_RAW\""},
      {Function(two + "args: [0], operator: Equal, values: [1]}]}]"),
       Function(two + "operator: Equal, values: [1]}]}]"), std::string(kAt) + "index: missing"},
  });
  const auto policy = PolicyOf(Function(two + "args: [1, 0], operator: CapabilitiesGained}]}]"));
  EXPECT_EQ(policy->hooks[0].selectors[0].args[0].argument, 1U);
  EXPECT_EQ(policy->hooks[0].selectors[0].args[0].second, 0U);
}

}  // namespace
}  // namespace sluice::policy::tracing
