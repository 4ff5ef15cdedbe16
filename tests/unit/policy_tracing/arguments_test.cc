// Arguments: their index, type and the fields that some types have.
#include "tests/unit/policy_tracing/specs.h"

namespace sluice::policy::tracing {
namespace {

std::string Args(const std::string& args) { return Function("args: [" + args + "]"); }
std::string Data(const std::string& data) { return Function("data: [" + data + "]"); }

TEST(TracingArguments, HaveAnIndexAndAType) {
  Check({
      {Args("{index: 5, type: int}"), Args("{index: 6, type: int}"),
       "spec.kprobes[0].args[0].index: must be a decimal number from 0 to 5, got 6"},
      {Args("{index: 0, type: int}"), Args("{type: int}"), "spec.kprobes[0].args[0].index: missing"},
      {Args("{index: 0, type: int}"), Args("{index: -1, type: int}"),
       "spec.kprobes[0].args[0].index: must be a decimal number from 0 to 5, got -1"},
      {Args("{index: 0, type: file}"), Args("{index: 0, type: flie}"),
       "spec.kprobes[0].args[0].type: unknown type \"flie\": did you mean file?"},
      {Args("{index: 0}"), Args("{index: 0, typ: file}"), "spec.kprobes[0].args[0].typ: unknown field"},
      {Args("{index: 0, type: int}, {index: 0, type: string, resolve: comm}"),
       Args("{index: 0, type: int}, {index: 0, type: uint32}"),
       "spec.kprobes[0].args: entries 0 and 1 are the same argument 0: remove one"},
      {Args("{index: 0, label: a}"), Args("{index: 0, label: ''}"), "spec.kprobes[0].args[0].label: is empty"},
  });
  EXPECT_EQ(PolicyOf(Args("{index: 0}"))->hooks[0].args[0].type, ArgType::kAuto);
}

TEST(TracingArguments, EveryTypeOfTheTableIsRead) {
  for (const ArgTypeInfo& info : kArgTypes) {
    const std::string args = fmt::format("args: [{{index: 0, type: {}}}]", info.name);
    const auto policy = PolicyOf(
        info.type == ArgType::kDataLoc ? "{tracepoints: [{subsystem: a, event: b, " + args + "}]}" : Function(args));
    ASSERT_NE(policy, nullptr) << info.name;
    EXPECT_EQ(policy->hooks[0].args[0].type, info.type) << info.name;
  }
  EXPECT_EQ(ErrorOf(Args("{index: 0, type: data_loc}")),
            "spec.kprobes[0].args[0].type: type data_loc: only tracepoints have it");
}

TEST(TracingArguments, SystemCallsHaveTheirOwnNumberAndNoStructures) {
  Check({
      {Kprobe("call: sys_openat, args: [{index: 3, type: int}]"),
       Kprobe("call: sys_openat, args: [{index: 4, type: int}]"),
       "spec.kprobes[0].args[0].index: no argument 4: sys_openat has 4, counted from 0"},
      {Kprobe("call: sys_getpid"), Kprobe("call: sys_getpid, args: [{index: 0, type: int}]"),
       "spec.kprobes[0].args[0].index: no argument 0: sys_getpid has 0, counted from 0"},
      {Kprobe("call: sys_write, args: [{index: 0, type: fd}]"),
       Kprobe("call: sys_write, args: [{index: 0, type: file}]"),
       "spec.kprobes[0].args[0].type: a system call has no argument of type file: its arguments are numbers and "
       "addresses "
       "of the caller. Hook the kernel's own function, with \"syscall: false\""},
      {Kprobe("call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 3}]"),
       Kprobe("call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 4}]"),
       "spec.kprobes[0].args[0].sizeArgIndex: no argument 4: sys_write has 3, here counted from 1"},
  });
}

TEST(TracingArguments, FieldsOfBuffers) {
  Check({
      {Args("{index: 0, type: char_buf, sizeArgIndex: 6}"), Args("{index: 0, type: char_buf, sizeArgIndex: 7}"),
       "spec.kprobes[0].args[0].sizeArgIndex: must be a decimal number from 0 to 6, got 7"},
      {Args("{index: 0, type: char_iovec, sizeArgIndex: 1}"), Args("{index: 0, type: int, sizeArgIndex: 1}"),
       "spec.kprobes[0].args[0].sizeArgIndex: type int has no size: leave it out"},
      {Args("{index: 0, type: char_buf, returnCopy: true}"), Args("{index: 0, type: file, returnCopy: true}"),
       "spec.kprobes[0].args[0].returnCopy: type file is not a buffer that the function fills"},
      {Args("{index: 0, type: iov_iter, maxData: true}"), Args("{index: 0, type: string, maxData: true}"),
       "spec.kprobes[0].args[0].maxData: type string is not a buffer"},
  });
  const auto sizes =
      PolicyOf(Args("{index: 0, type: char_buf, sizeArgIndex: 3}, {index: 1, type: char_buf, sizeArgIndex: "
                    "0}"));
  EXPECT_EQ(sizes->hooks[0].args[0].size_index, 2);  // counted from 1 in the file
  EXPECT_EQ(sizes->hooks[0].args[1].size_index, std::nullopt);
}

TEST(TracingArguments, ResolveFollowsFields) {
  Check({
      {Args("{index: 0, type: string, resolve: mm.owner.comm}"), Args("{index: 0, type: string, resolve: mm..comm}"),
       "spec.kprobes[0].args[0].resolve: \"mm..comm\" is no path of fields: write them as in \"mm.owner.comm\" or "
       "\"name[0]\""},
      {Args("{index: 0, type: string, resolve: 'a[0][1].b'}"), Args("{index: 0, type: string, resolve: 'a[x].b'}"),
       "spec.kprobes[0].args[0].resolve: \"a[x].b\" is no path of fields: write them as in \"mm.owner.comm\" or "
       "\"name[0]\""},
      {Args("{index: 0, type: string, resolve: a.b.c.d.e.f.g.h.i.j}"),
       Args("{index: 0, type: string, resolve: a.b.c.d.e.f.g.h.i.j.k}"),
       "spec.kprobes[0].args[0].resolve: 11 steps: at most 10 are possible"},
      {Args("{index: 0, btfType: task_struct, btfTypeModule: m}"), Args("{index: 0, btfTypeModule: m}"),
       "spec.kprobes[0].args[0].btfTypeModule: needs btfType beside it"},
  });
  for (const char* wrong : {"'a.'", "'.a'", "'a[0]b'", "'a[0'", "'a]'", "'a[-1]'"}) {
    EXPECT_NE(ErrorOf(Args(fmt::format("{{index: 0, type: string, resolve: {}}}", wrong))), "no error") << wrong;
  }
  EXPECT_EQ(PolicyOf(Args("{index: 0, type: string, resolve: 'a[3].b'}"))->hooks[0].args[0].resolve,
            (std::vector<std::string>{"a", "[3]", "b"}));
}

TEST(TracingArguments, DataComesFromElsewhere) {
  Check({
      {Data("{type: string, source: current_task, resolve: comm}"), Data("{type: string, source: task}"),
       "spec.kprobes[0].data[0].source: unknown source \"task\": known are current_task, pt_regs"},
      {Data("{type: uint64, source: pt_regs, resolve: rip}"), Data("{type: uint64, resolve: rip}"),
       "spec.kprobes[0].data[0].source: missing"},
      {Args("{index: 0}"), Args("{index: 0, source: current_task}"), "spec.kprobes[0].args[0].source: unknown field"},
  });
}

TEST(TracingArguments, AreAtMostFive) {
  const std::string four = "{index: 0}, {index: 1}, {index: 2}, {index: 3}";
  const std::string data = "{type: int, source: current_task, resolve: pid}";
  Check({
      {Args(four + ", {index: 4}"), Args(four + ", {index: 4}, {index: 5}"),
       "spec.kprobes[0].args: 6 entries: at most 5 are possible"},
      {Function("args: [" + four + "], data: [" + data + "]"),
       Function("args: [" + four + "], data: [" + data + ", " + data + "]"),
       "spec.kprobes[0].data: args and data have 6 entries: at most 5 are possible together"},
  });
}

}  // namespace
}  // namespace sluice::policy::tracing
