// The tests that filters on arguments become.
#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

std::string TestsOf(const std::string& type, const std::string& operator_and_values) {
  return TextOf(HookOf(Filter(type, operator_and_values)));
}

TEST(TracingCompileFilters, Numbers) {
  EXPECT_EQ(TestsOf("int", "Equal, values: [4, '-1']"), "arg0 4..4 signed | arg0 -1..-1 signed");
  EXPECT_EQ(TestsOf("uint8", "NotEqual, values: [255]"), "not (arg0 255..255)");
  EXPECT_EQ(TestsOf("int", "GreaterThan, values: [-3, 7]"),
            "arg0 -2..9223372036854775807 signed | arg0 8..9223372036854775807 signed");
  EXPECT_EQ(TestsOf("uint32", "GT, values: [0]"), "arg0 1..18446744073709551615");
  EXPECT_EQ(TestsOf("uint64", "LT, values: [10]"), "arg0 0..9");
  EXPECT_EQ(TestsOf("int64", "LessThan, values: [0]"), "arg0 -9223372036854775808..-1 signed");
  EXPECT_EQ(TestsOf("int", "Mask, values: [0x42, 0x200]"), "arg0 & 0x42 | arg0 & 0x200");
  EXPECT_EQ(TestsOf("int16", "InRange, values: ['-5:5']"), "arg0 -5..5 signed");
  EXPECT_EQ(TestsOf("uint16", "NotInRange, values: ['1:2', '4:5']"), "not (arg0 1..2 | arg0 4..5)");
  EXPECT_EQ(TestsOf("capability", "Equal, values: [CAP_NET_RAW]"), "arg0 13..13");
}

TEST(TracingCompileFilters, NoNumberIsBeyondTheEnds) {
  EXPECT_EQ(TestsOf("uint64", "GT, values: [0xffffffffffffffff]"), "arg0 1..0");
  EXPECT_EQ(TestsOf("uint8", "LT, values: [0]"), "arg0 1..0");
  EXPECT_EQ(TestsOf("int64", "GT, values: ['9223372036854775807']"), "arg0 1..0");
  EXPECT_EQ(TestsOf("int64", "LT, values: ['-9223372036854775808']"), "arg0 1..0");
}

TEST(TracingCompileFilters, Sets) {
  EXPECT_EQ(TestsOf("uint32", "InMap, values: [7, '3:5', 6, 1]"), "arg0 1..1 | arg0 3..7");
  EXPECT_EQ(TestsOf("int", "NotInMap, values: [1, -1, 0]"), "not (arg0 -1..1 signed)");
  EXPECT_EQ(TestsOf("int", "InMap, values: [0, 2, 4, 6, 8, 10, 12, 14, -16, '20:30']"),
            "arg0 in -16 0 2 4 6 8 10 12 14 | arg0 20..30 signed");
  EXPECT_EQ(TestsOf("uint64", "InMap, values: ['0:0xffffffffffffffff', 5]"), "arg0 0..18446744073709551615");
  EXPECT_EQ(HookOf(Filter("uint64", "InMap, values: [0, 2, 4, 6, 8, 10, 12, 14]")).sets.size(), 0U);
}

std::string InList(const std::string& list) {
  return "{lists: [{name: l, " + list +
         "}], kprobes: [{call: f, syscall: false, args: [{index: 0, type: uint64}], selectors: [{matchArgs: [{index: "
         "0, "
         "operator: InMap, values: [1, 'list:l']}]}]}]}";
}

TEST(TracingCompileFilters, ListsOfSystemCallsAreTheirNumbers) {
  EXPECT_EQ(TextOf(HookOf(InList("type: syscalls, values: [sys_dup, sys_dup2]"))), "arg0 1..1 | arg0 32..33");
  const std::string at = "spec.kprobes[0].selectors[0].matchArgs[0].values: ";
  EXPECT_EQ(RefusalOf(InList("type: syscalls, values: [sys_dup, sys_dup3]")),
            at + "sys_dup3 of list l: this machine has no such call");
  EXPECT_EQ(RefusalOf(InList("type: syscalls, values: [arm32/sys_dup]")),
            at + "Sluice does not enforce arm32/sys_dup, a call of another ABI, yet");
  EXPECT_EQ(TextOf(HookOf(InList("type: generated_syscalls, pattern: 'dup2'"))), "arg0 1..1 | arg0 33..33");
  const Compilation without = Compile(PolicyOf(InList("type: syscalls, values: [sys_dup]")));
  ASSERT_EQ(without.problems.size(), 1U);
  EXPECT_EQ(without.problems[0].what, at + "Sluice does not enforce list:l yet");
}

TEST(TracingCompileFilters, Texts) {
  EXPECT_EQ(TestsOf("file", "Equal, values: [/etc/passwd, /b]"), "arg0 == /etc/passwd | arg0 == /b");
  EXPECT_EQ(TestsOf("string", "NotEqual, values: [\"a\\0\"]"), "not (arg0 == a)");
  EXPECT_EQ(TestsOf("path", "Prefix, values: [/etc/]"), "arg0 begins /etc/");
  EXPECT_EQ(TestsOf("filename", "NotPrefix, values: [/etc/]"), "not (arg0 begins /etc/)");
  EXPECT_EQ(TestsOf("linux_binprm", "Postfix, values: [/cat, tac]"), "arg0 ends /cat | arg0 ends tac");
  EXPECT_EQ(TestsOf("fd", "NotPostfix, values: ['12345678']"), "not (arg0 ends 12345678)");
  EXPECT_EQ(TestsOf("char_buf", "SubString, values: [Pass]"), "arg0 has Pass");
  EXPECT_EQ(TestsOf("dentry", "SubStringIgnCase, values: [PasSwd]"), "arg0 has in any case passwd");
}

TEST(TracingCompileFilters, TextsAreWords) {
  const CompiledHook hook = HookOf(Filter("string", "Equal, values: [abcdefgh, abcdefghi]"));
  EXPECT_EQ(hook.words, (std::vector<std::uint64_t>{0x6867666564636261, 0x6867666564636261, 0x69}));
  EXPECT_EQ(hook.tests[0].first, 0U);
  EXPECT_EQ(hook.tests[0].last, 8U);
  EXPECT_EQ(hook.tests[1].first, 1U);
  EXPECT_EQ(hook.tests[1].last, 9U);
}

TEST(TracingCompileFilters, Sockets) {
  EXPECT_EQ(TestsOf("sock", "DAddr, values: [10.0.0.0/8, 192.168.1.1]"),
            "arg0.DESTINATION in ::ffff:10.0.0.0/104 | arg0.DESTINATION in ::ffff:192.168.1.1/128");
  EXPECT_EQ(TestsOf("skb", "NotDAddr, values: ['0.0.0.0/0']"), "not (arg0.DESTINATION in ::ffff:0.0.0.0/96)");
  EXPECT_EQ(TestsOf("sockaddr", "SAddr, values: ['2001:db8::/32']"), "arg0.SOURCE in 2001:db8::/32");
  EXPECT_EQ(TestsOf("socket", "NotSAddr, values: ['::1']"), "not (arg0.SOURCE in ::1/128)");
  EXPECT_EQ(TestsOf("sock", "SPort, values: [22, '80:90']"), "arg0.SOURCE_PORT 22..22 | arg0.SOURCE_PORT 80..90");
  EXPECT_EQ(TestsOf("sock", "NotSPort, values: [22]"), "not (arg0.SOURCE_PORT 22..22)");
  EXPECT_EQ(TestsOf("sock", "DPort, values: [22]"), "arg0.DESTINATION_PORT 22..22");
  EXPECT_EQ(TestsOf("sock", "NotDPort, values: [22]"), "not (arg0.DESTINATION_PORT 22..22)");
  EXPECT_EQ(TestsOf("sockaddr", "SPortPriv"), "arg0.SOURCE_PORT 0..1023");
  EXPECT_EQ(TestsOf("sock", "NotSportPriv"), "not (arg0.SOURCE_PORT 0..1023)");
  EXPECT_EQ(TestsOf("skb", "DPortPriv"), "arg0.DESTINATION_PORT 0..1023");
  EXPECT_EQ(TestsOf("skb", "NotDPortPriv"), "not (arg0.DESTINATION_PORT 0..1023)");
  EXPECT_EQ(TestsOf("skb", "Protocol, values: [IPPROTO_UDP, 6]"), "arg0.PROTOCOL 17..17 | arg0.PROTOCOL 6..6");
  EXPECT_EQ(TestsOf("sockaddr", "Family, values: [AF_INET]"), "arg0.FAMILY 2..2");
  EXPECT_EQ(TestsOf("sockaddr_un", "Family, values: [AF_UNIX]"), "arg0.FAMILY 1..1");
  EXPECT_EQ(TestsOf("sock", "State, values: [TCP_SYN_RECV]"), "arg0.STATE 3..3");
}

// ::/0 has no IPv4 address in it.
TEST(TracingCompileFilters, Ipv6PrefixesLeaveTheMappedAddressesOut) {
  EXPECT_EQ(TestsOf("sock", "DAddr, values: ['::/94']"),
            "arg0.DESTINATION in ::/94");  // ends before them
  const CompiledHook all = HookOf(Filter("sock", "DAddr, values: ['::/0']"));
  ASSERT_EQ(all.tests.size(), 96U);
  EXPECT_EQ(TextOfTest(all, all.tests[0]), "arg0.DESTINATION in 8000::/1");
  EXPECT_EQ(TextOfTest(all, all.tests[79]), "arg0.DESTINATION in ::1:0:0:0/80");
  EXPECT_EQ(TextOfTest(all, all.tests[80]), "arg0.DESTINATION in ::/81");
  EXPECT_EQ(TextOfTest(all, all.tests[95]), "arg0.DESTINATION in ::fffe:0:0/96");
  EXPECT_EQ(all.tests[95].filter_last, 95);
}

TEST(TracingCompileFilters, CapabilitiesAndTypesOfFiles) {
  EXPECT_EQ(TestsOf("cap_effective", "Equal, values: [0x3000]"), "arg0 12288..12288");
  EXPECT_EQ(TestsOf("cap_permitted", "Mask, values: ['CAP_NET_ADMIN,CAP_NET_RAW']"), "arg0 & 0x3000");
  EXPECT_EQ(TextOf(HookOf(Function("args: [{index: 2, type: kernel_cap_t}, {index: 3, type: kernel_cap_t}], selectors: "
                                   "[{matchArgs: [{args: [1, 0], operator: CapabilitiesGained}]}]"))),
            "arg1 gained over arg0");
  EXPECT_EQ(TestsOf("file", "FileType, values: [reg, sock]"),
            "arg0.FILE_TYPE 32768..32768 | arg0.FILE_TYPE 49152..49152");
  EXPECT_EQ(TestsOf("path", "NotFileType, values: [dir]"), "not (arg0.FILE_TYPE 16384..16384)");
}

TEST(TracingCompileFilters, WhatCannotBeComparedYetIsRefused) {
  const std::string at = "spec.kprobes[0].selectors[0].matchArgs[0]";
  EXPECT_EQ(RefusalOf(Kprobe("call: sys_read, args: [{index: 1, type: char_buf, returnCopy: true}], selectors: "
                             "[{matchArgs: [{index: 1, operator: Equal, values: [a]}]}]")),
            at + ": Sluice does not enforce filters on an argument with returnCopy yet");
  EXPECT_EQ(RefusalOf(Function("return: true, returnArg: {index: 0, type: sock}, selectors: [{matchReturnArgs: "
                               "[{index: 0, operator: SPort, values: [22]}]}]")),
            "spec.kprobes[0].selectors[0].matchReturnArgs[0]: Sluice does not enforce filters on a result of type sock "
            "yet");
}

}  // namespace
}  // namespace sluice::policy::tracing
