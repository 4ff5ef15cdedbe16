// How the kernel reads each type of argument.
#include <map>

#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

std::string NameOfRead(int read) {
  static constexpr const char* kNames[] = {
#define SL_X(name) #name,
      SL_HOOK_READS(SL_X)
#undef SL_X
  };
  return kNames[read];
}

// "2 NUMBER 4 signed": index, how it is read, size, flags.
std::string TextOfArgument(const sl_hook_argument& argument) {
  std::string text = argument.index == SL_HOOK_INDEX_RETURN ? "result" : std::to_string(argument.index);
  text += " " + NameOfRead(argument.read);
  if (argument.size != 0) text += fmt::format(" {}", argument.size);
  if (argument.size_index != 0) text += fmt::format(" size {}", argument.size_index);
  if (argument.bytes_max != 0) text += fmt::format(" max {}", argument.bytes_max);
  if ((argument.flags & SL_HOOK_ARGUMENT_SIGNED) != 0) text += " signed";
  if ((argument.flags & SL_HOOK_ARGUMENT_USER) != 0) text += " user";
  if ((argument.flags & SL_HOOK_ARGUMENT_AT_RETURN) != 0) text += " at return";
  EXPECT_EQ(argument.flags & ~(SL_HOOK_ARGUMENT_SIGNED | SL_HOOK_ARGUMENT_USER | SL_HOOK_ARGUMENT_AT_RETURN), 0);
  EXPECT_EQ(argument.step_count + argument.steps + argument.pad, 0U);
  return text;
}

std::string ArgumentOf(const std::string& spec) {
  const CompiledHook hook = HookOf(spec);
  EXPECT_EQ(hook.hook.argument_count, 1) << spec;
  return TextOfArgument(hook.hook.arguments[0]);
}

TEST(TracingCompileArguments, EveryTypeOfAFunction) {
  const std::map<std::string, std::string> expected = {
      {"int", "0 NUMBER 4 signed"},
      {"sint8", "0 NUMBER 1 signed"},
      {"int8", "0 NUMBER 1 signed"},
      {"uint8", "0 NUMBER 1"},
      {"sint16", "0 NUMBER 2 signed"},
      {"int16", "0 NUMBER 2 signed"},
      {"uint16", "0 NUMBER 2"},
      {"sint32", "0 NUMBER 4 signed"},
      {"int32", "0 NUMBER 4 signed"},
      {"uint32", "0 NUMBER 4"},
      {"sint64", "0 NUMBER 8 signed"},
      {"int64", "0 NUMBER 8 signed"},
      {"uint64", "0 NUMBER 8"},
      {"long", "0 NUMBER 8 signed"},
      {"ulong", "0 NUMBER 8"},
      {"size_t", "0 NUMBER 8"},
      {"syscall64", "0 NUMBER 8"},
      {"bpf_cmd", "0 NUMBER 4"},
      {"capability", "0 NUMBER 4"},
      {"string", "0 STRING max 4096"},
      {"char_buf", "0 BYTES size 255 max 4096"},
      {"net_device", "0 NET_DEVICE"},
      {"fd", "0 FD"},
      {"dentry", "0 DENTRY"},
      {"linux_binprm", "0 BINPRM"},
      {"filename", "0 FILENAME"},
      {"file", "0 FILE"},
      {"path", "0 PATH"},
      {"sock", "0 SOCK"},
      {"socket", "0 SOCKET"},
      {"skb", "0 SKB"},
      {"sockaddr", "0 SOCKADDR"},
      {"sockaddr_un", "0 SOCKADDR_UNIX"},
      {"kernel_cap_t", "0 CAPABILITIES"},
      {"cap_inheritable", "0 CAPABILITIES"},
      {"cap_permitted", "0 CAPABILITIES"},
      {"cap_effective", "0 CAPABILITIES"},
      {"char_iovec", "0 IOVEC size 255 max 4096"},
      {"nop", "0 NOTHING"},
      {"bpf_attr", "0 BPF_PROGRAM"},
      {"bpf_map", "0 BPF_MAP"},
      {"bpf_prog", "0 BPF_OBJECT"},
      {"kiocb", "0 KIOCB"},
      {"iov_iter", "0 IOV_ITER"},
      {"perf_event", "0 PERF_EVENT"},
      {"user_namespace", "0 USER_NAMESPACE"},
      {"cred", "0 CRED"},
      {"load_info", "0 LOAD_INFO"},
      {"module", "0 MODULE"},
  };
  for (const ArgTypeInfo& type : kArgTypes) {
    const std::string spec = Function(fmt::format("args: [{{index: 0, type: {}}}]", type.name));
    if (type.type == ArgType::kDataLoc || type.type == ArgType::kConstBuf) continue;  // tracepoints only
    const auto found = expected.find(std::string(type.name));
    if (found == expected.end()) {
      EXPECT_EQ(RefusalOf(spec),
                fmt::format("spec.kprobes[0].args[0].type: Sluice does not enforce {} yet", type.name));
    } else {
      EXPECT_EQ(ArgumentOf(spec), found->second) << type.name;
    }
  }
}

TEST(TracingCompileArguments, PointersOfASystemCallAreItsCallers) {
  const auto of_call = [](const std::string& type) {
    return ArgumentOf(Kprobe("call: sys_write, args: [{index: 1, type: " + type + "}]"));
  };
  EXPECT_EQ(of_call("string"), "1 STRING max 4096 user");
  EXPECT_EQ(of_call("char_buf, sizeArgIndex: 3"), "1 BYTES size 2 max 4096 user");
  EXPECT_EQ(of_call("char_buf, returnCopy: true"), "1 BYTES size 255 max 4096 user at return");
  EXPECT_EQ(of_call("char_iovec, sizeArgIndex: 3"), "1 IOVEC size 2 max 4096 user");
  EXPECT_EQ(of_call("sockaddr"), "1 SOCKADDR user");
  EXPECT_EQ(of_call("sockaddr_un"), "1 SOCKADDR_UNIX user");
  EXPECT_EQ(of_call("bpf_attr"), "1 BPF_PROGRAM user");
  EXPECT_EQ(of_call("fd"), "1 FD");
  EXPECT_EQ(of_call("uint16"), "1 NUMBER 2");
  EXPECT_EQ(ArgumentOf(Kprobe("call: security_socket_connect, syscall: false, args: [{index: 1, type: sockaddr}]")),
            "1 SOCKADDR");
}

TEST(TracingCompileArguments, KeepTheirPlaces) {
  const CompiledHook hook =
      HookOf(Function("args: [{index: 2, type: nop}, {index: 5, type: int}, {index: 0, type: sock}]"));
  ASSERT_EQ(hook.hook.argument_count, 3);
  EXPECT_EQ(TextOfArgument(hook.hook.arguments[0]), "2 NOTHING");
  EXPECT_EQ(TextOfArgument(hook.hook.arguments[1]), "5 NUMBER 4 signed");
  EXPECT_EQ(TextOfArgument(hook.hook.arguments[2]), "0 SOCK");
  EXPECT_EQ(hook.hook.flags, 0);
}

TEST(TracingCompileArguments, Results) {
  const CompiledHook shown = HookOf(Function("return: true, returnArg: {index: 0, type: size_t}"));
  EXPECT_EQ(TextOfArgument(shown.hook.return_value), "result NUMBER 8 at return");
  EXPECT_EQ(shown.hook.flags, SL_HOOK_RETURNS);
  const CompiledHook not_shown = HookOf(Function("returnArg: {index: 0, type: size_t}"));
  EXPECT_EQ(TextOfArgument(not_shown.hook.return_value), "0 NOTHING");
  EXPECT_EQ(not_shown.hook.flags, 0);
  EXPECT_EQ(HookOf(Kprobe("call: sys_read, args: [{index: 1, type: char_buf, returnCopy: true}]")).hook.flags,
            SL_HOOK_RETURNS);
}

TEST(TracingCompileArguments, WhatCannotBeReadYetIsRefused) {
  const std::string at = "spec.kprobes[0].";
  const auto refusal = [](const std::string& fields) { return RefusalOf(Function(fields)); };
  EXPECT_EQ(refusal("args: [{index: 0, type: string, resolve: mm.owner.comm}]"),
            at + "args[0].resolve: Sluice does not enforce it without the kernel's types yet");
  EXPECT_EQ(refusal("args: [{index: 0}]"), at + "args[0].type: Sluice does not enforce auto yet");
  EXPECT_EQ(refusal("args: [{index: 0, type: char_buf, maxData: true}]"),
            at + "args[0].maxData: Sluice does not enforce it yet");
  EXPECT_EQ(refusal("args: [{index: 0, type: file, btfType: file}]"),
            at + "args[0].btfType: Sluice does not enforce it without resolve yet");
  EXPECT_EQ(refusal("args: [{index: 0, type: uint32, resolve: a, btfType: b, btfTypeModule: c}]"),
            at + "args[0].btfTypeModule: Sluice does not enforce it yet\n" + at +
                "args[0].resolve: Sluice does not enforce it without the kernel's types yet");
  EXPECT_EQ(refusal("data: [{index: 0, type: uint64, source: pt_regs}]"),
            at + "data[0].source: Sluice does not enforce pt_regs yet");
  EXPECT_EQ(refusal("data: [{index: 0, type: uint64, source: current_task}]"),
            at + "data[0]: the current task as a whole is of no type: name the field with resolve");
  EXPECT_EQ(refusal("return: true, returnArg: {index: 0, type: auto}"),
            at + "returnArg.type: Sluice does not enforce auto yet");
}

// Knows one way: 8 bytes on is a pointer, 16 bytes after its target the field.
class TwoSteps : public TypeResolver {
 public:
  StatusOr<std::vector<std::uint64_t>> Resolve(const HookPoint& point, const Argument& argument) const override {
    if (argument.resolve.back() != "field") return InvalidError("no {} in {}", argument.resolve.back(), point.name);
    return std::vector<std::uint64_t>{SL_HOOK_STEP(8, 1), SL_HOOK_STEP(16, 0)};
  }
  StatusOr<ArgType> TypeOf(const HookPoint& point, int index) const override {
    if (index == 2) return InvalidError("argument 2 of {} cannot be shown", point.name);
    return index == 0 ? ArgType::kSock : ArgType::kInt32;
  }
};

TEST(TracingCompileArguments, AutoIsTheKernelsType) {
  const TwoSteps types;
  const auto compile = [&](const std::string& args) {
    return Compile(PolicyOf(Function("args: [" + args + "]")), {.host_namespaces = {}, .types = &types});
  };
  const Compilation compiled = compile("{index: 0, type: auto}, {index: 1}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const sl_hook& hook = compiled.policy->hooks[0].hook;
  EXPECT_EQ(hook.arguments[0].read, SL_HOOK_READ_SOCK);
  EXPECT_EQ(hook.arguments[1].read, SL_HOOK_READ_NUMBER);
  EXPECT_EQ(hook.arguments[1].size, 4);
  EXPECT_EQ(hook.arguments[1].flags, SL_HOOK_ARGUMENT_SIGNED);
  const Compilation refused = compile("{index: 2, type: auto}");
  ASSERT_EQ(refused.problems.size(), 1U);
  EXPECT_EQ(refused.problems[0].what, "spec.kprobes[0].args[0].type: argument 2 of tcp_connect cannot be shown");
}

TEST(TracingCompileArguments, WaysThroughStructuresAreWordsToo) {
  const TwoSteps types;
  const auto compile = [&](const std::string& resolve) {
    return Compile(PolicyOf(Function("args: [{index: 0, type: uint32, resolve: " + resolve +
                                     "}, {index: 1, type: string}], data: [{index: 0, type: int, source: current_task, "
                                     "resolve: a.field}], selectors: [{matchArgs: [{index: 1, operator: Equal, values: "
                                     "[x]}], matchData: [{index: 0, operator: Equal, values: [7]}]}]")),
                   {.host_namespaces = {}, .types = &types});
  };
  const Compilation compiled = compile("a.field");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const CompiledHook& hook = compiled.policy->hooks[0];
  EXPECT_EQ(hook.words, (std::vector<std::uint64_t>{SL_HOOK_STEP(8, 1), SL_HOOK_STEP(16, 0), SL_HOOK_STEP(8, 1),
                                                    SL_HOOK_STEP(16, 0), 'x'}));
  ASSERT_EQ(hook.hook.argument_count, 3);
  EXPECT_EQ(hook.hook.arguments[0].steps, 0U);
  EXPECT_EQ(hook.hook.arguments[0].step_count, 2);
  EXPECT_EQ(hook.hook.arguments[1].step_count, 0);
  EXPECT_EQ(hook.hook.arguments[2].steps, 2U);
  EXPECT_EQ(hook.hook.arguments[2].flags, SL_HOOK_ARGUMENT_OF_TASK | SL_HOOK_ARGUMENT_SIGNED);
  EXPECT_EQ(TextOf(hook), "arg1 == x & arg2 7..7 signed");
  const Compilation refused = compile("a.other");
  ASSERT_EQ(refused.problems.size(), 1U);
  EXPECT_EQ(refused.problems[0].what, "spec.kprobes[0].args[0].resolve: no other in tcp_connect");
}

// Data of the current task is the kernel's, whatever the hook is on.
TEST(TracingCompileArguments, DataOfTheTaskIsNotTheCallersMemory) {
  const TwoSteps types;
  const Compilation compiled =
      Compile(PolicyOf(Kprobe("call: sys_dup, data: [{index: 0, type: string, source: current_task, resolve: field}, "
                              "{index: 1, type: file, source: current_task, resolve: a.field}]")),
              {.host_namespaces = {}, .types = &types});
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  EXPECT_EQ(compiled.policy->hooks[0].hook.arguments[0].flags, SL_HOOK_ARGUMENT_OF_TASK);
  EXPECT_EQ(compiled.policy->hooks[0].hook.arguments[1].read, SL_HOOK_READ_FILE);
}

}  // namespace
}  // namespace sluice::policy::tracing
