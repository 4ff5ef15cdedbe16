#include "policy/tracing/probe_argument.h"

#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

using Steps = std::vector<std::uint64_t>;

constexpr std::uint64_t kLoad = SL_HOOK_STEP_LOAD | SL_HOOK_STEP_USER;
constexpr std::uint64_t Bytes(unsigned bytes) { return SL_HOOK_STEP_BYTES(bytes); }
constexpr std::uint64_t Register(std::uint64_t word, std::uint64_t shift = 0) {
  return SL_HOOK_STEP_REGISTER(word, shift);
}

Steps StepsOf(const char* argument, Machine machine = Machine::kX86_64) {
  const auto steps = StepsOfProbeArgument(argument, machine);
  EXPECT_TRUE(steps.ok()) << argument << ": " << steps.status();
  return steps.value_or(Steps());
}

// Words of struct pt_regs: rdi is 14, rbp 4, rsp 19, rax 10, rcx 11.
TEST(ProbeArgument, RegistersOfX86) {
  EXPECT_EQ(StepsOf("8@%rdi"), (Steps{Register(14) | Bytes(8)}));
  EXPECT_EQ(StepsOf("-4@%edi"), (Steps{Register(14) | Bytes(4) | SL_HOOK_STEP_SIGNED}));
  EXPECT_EQ(StepsOf("1@%al"), (Steps{Register(10) | Bytes(1)}));
  EXPECT_EQ(StepsOf("2@%r15w"), (Steps{Register(0) | Bytes(2)}));
  EXPECT_EQ(StepsOf("%rax"), (Steps{Register(10) | Bytes(8)})) << "without a size";
}

TEST(ProbeArgument, MemoryOfX86) {
  EXPECT_EQ(StepsOf("8@-24(%rbp)"), (Steps{SL_HOOK_STEP(-24, 0) | Register(4) | Bytes(8) | kLoad}));
  EXPECT_EQ(StepsOf("-4@(%rsp)"), (Steps{Register(19) | Bytes(4) | kLoad | SL_HOOK_STEP_SIGNED}));
  EXPECT_EQ(StepsOf("2@0x10(%rax,%rcx,8)"),
            (Steps{Register(11, 3), SL_HOOK_STEP(16, 0) | Register(10) | Bytes(2) | kLoad}));
  EXPECT_EQ(StepsOf("1@4(,%rcx,4)"), (Steps{Register(11, 2), SL_HOOK_STEP(4, 0) | Bytes(1) | kLoad}));
}

TEST(ProbeArgument, Constants) {
  EXPECT_EQ(StepsOf("-4@$-1"), (Steps{SL_HOOK_STEP(-1, 0) | Bytes(4) | SL_HOOK_STEP_SIGNED}));
  EXPECT_EQ(StepsOf("8@$0x20"), (Steps{SL_HOOK_STEP(32, 0) | Bytes(8)}));
  EXPECT_EQ(StepsOf("4@7", Machine::kAarch64), (Steps{SL_HOOK_STEP(7, 0) | Bytes(4)}));
}

TEST(ProbeArgument, Arm) {
  EXPECT_EQ(StepsOf("8@x3", Machine::kAarch64), (Steps{Register(3) | Bytes(8)}));
  EXPECT_EQ(StepsOf("-4@w0", Machine::kAarch64), (Steps{Register(0) | Bytes(4) | SL_HOOK_STEP_SIGNED}));
  EXPECT_EQ(StepsOf("8@[sp, 16]", Machine::kAarch64), (Steps{SL_HOOK_STEP(16, 0) | Register(31) | Bytes(8) | kLoad}));
  EXPECT_EQ(StepsOf("4@[x29]", Machine::kAarch64), (Steps{Register(29) | Bytes(4) | kLoad}));
}

TEST(ProbeArgument, WhatCannotBeReadIsRefused) {
  for (const char* argument :
       {"", "8@", "3@%rax", "16@%xmm0", "8@%xmm0", "8f@%rax", "1@%ah", "8@counter(%rip)", "8@$5000000000", "8@$counter",
        "8@(%rax", "8@(%rax,%rcx,3)", "8@(%rax,%rcx,2,1)", "8@()", "8@%fs:16", "8@7", "-@%rax(", "8@--4(%rsp)"}) {
    EXPECT_FALSE(StepsOfProbeArgument(argument, Machine::kX86_64).ok()) << argument;
  }
  for (const char* argument : {"8@x31", "8@%rax", "8@[x1, x2]", "8@[x0", "8@q0", "8@[x0, 1, 2]"}) {
    EXPECT_FALSE(StepsOfProbeArgument(argument, Machine::kAarch64).ok()) << argument;
  }
}

TEST(ProbeArgument, TheyAreSeparatedBySpaces) {
  EXPECT_EQ(SplitProbeArguments("-4@%edi 8@-8(%rbp)"), (std::vector<std::string_view>{"-4@%edi", "8@-8(%rbp)"}));
  EXPECT_EQ(SplitProbeArguments(" 8@[sp, 8]  4@w1 "), (std::vector<std::string_view>{"8@[sp, 8]", "4@w1"}));
  EXPECT_TRUE(SplitProbeArguments("").empty());
}

class OneProgram final : public ProgramFiles {
 public:
  StatusOr<std::uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol) const override {
    if (symbol == "none") return MakeError(absl::StatusCode::kNotFound, "{} has no function {}", path, symbol);
    return 0x1234;
  }
  StatusOr<std::uint64_t> OffsetOfAddress(const std::string&, std::uint64_t address) const override {
    return address - 0x400000;
  }
  StatusOr<std::vector<StaticProbe>> ProbesOf(const std::string&, const std::string&,
                                              const std::string&) const override {
    return std::vector<StaticProbe>{{.offset = 16, .counter = 64, .arguments = "-4@%edi 8@%rsi"},
                                    {.offset = 32, .counter = 64, .arguments = "-4@$5 8@8(%rsp)"}};
  }
  StatusOr<std::string> DigestOf(const std::string&, const std::string&) const override { return "ab"; }
};

Compilation CompileWithProgram(const std::string& spec) {
  static const OneProgram programs;
  CompileOptions options = OptionsOfTests();
  options.programs = &programs;
  return Compile(PolicyOf(spec), options);
}

TEST(ProgramPlaces, OfUprobes) {
  const Compilation compiled = CompileWithProgram(
      "{uprobes: [{path: /procRoot/1/root/bin/a, symbols: [f, g], refCtrOffsets: [0, 8], args: [{index: 0, type: "
      "string}, {index: 1, type: char_buf, sizeArgIndex: 3}]}, {path: /bin/b, addrs: [0x400010], offsets: []}]}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const auto& hooks = compiled.policy->hooks;
  ASSERT_EQ(hooks.size(), 3U);
  using Kind = HookPoint::Kind;
  EXPECT_EQ(hooks[0].point, (HookPoint{Kind::kProgram, "/proc/1/root/bin/a", "f", 0x1234, 0}));
  EXPECT_EQ(hooks[1].point, (HookPoint{Kind::kProgram, "/proc/1/root/bin/a", "g", 0x1234, 8}));
  EXPECT_EQ(hooks[2].point, (HookPoint{Kind::kProgram, "/bin/b", "0x400010", 0x10, 0}));
  EXPECT_EQ(hooks[2].source, 1U);
  EXPECT_EQ(hooks[0].hook.arguments[0].flags, SL_HOOK_ARGUMENT_USER);
  EXPECT_EQ(hooks[0].hook.arguments[1].size_index, 2);
}

TEST(ProgramPlaces, OfStaticProbesEachWithItsOwnArguments) {
  const Compilation compiled = CompileWithProgram(
      "{usdts: [{path: /bin/a, provider: p, name: here, args: [{index: 0, type: int32}, {index: 1, type: string}]}]}");
  ASSERT_NE(compiled.policy, nullptr) << compiled.problems.front().what;
  const auto& hooks = compiled.policy->hooks;
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_EQ(hooks[0].point, (HookPoint{HookPoint::Kind::kStaticProbe, "/bin/a", "p:here", 16, 64}));
  EXPECT_EQ(hooks[1].point.offset, 32U);
  EXPECT_EQ(hooks[0].words, (Steps{Register(14) | Bytes(4) | SL_HOOK_STEP_SIGNED, Register(13) | Bytes(8)}));
  EXPECT_EQ(hooks[1].words, (Steps{SL_HOOK_STEP(5, 0) | Bytes(4) | SL_HOOK_STEP_SIGNED,
                                   SL_HOOK_STEP(8, 0) | Register(19) | Bytes(8) | kLoad}));
  EXPECT_EQ(hooks[0].hook.arguments[1].flags, SL_HOOK_ARGUMENT_USER | SL_HOOK_ARGUMENT_OF_STEPS);
}

TEST(ProgramPlaces, WhatIsNotThereIsRefused) {
  const auto refusal = [](const std::string& spec) {
    const Compilation compiled = CompileWithProgram(spec);
    return compiled.problems.empty() ? "no problem" : compiled.problems.front().what;
  };
  EXPECT_EQ(refusal("{uprobes: [{path: /bin/a, symbols: [f, none]}]}"),
            "spec.uprobes[0].symbols[1]: /bin/a has no function none");
  EXPECT_EQ(refusal("{uprobes: [{path: /bin/a, symbols: [f], args: [{index: 0, type: sock}]}]}"),
            "spec.uprobes[0].args[0].type: a function of a program has no argument of type sock, a structure of the "
            "kernel: its arguments are numbers and addresses in its own memory");
  EXPECT_EQ(refusal("{usdts: [{path: /bin/a, provider: p, name: here, args: [{index: 2, type: int}]}]}"),
            "spec.usdts[0].args[0].index: no argument 2: the probe p:here has 2, counted from 0");
  const std::string digest = "{uprobes: [{path: /bin/a, symbols: [f], binaryDigests: ['build-id:";
  EXPECT_EQ(refusal(digest + "AB']}]}"), "no problem");
  EXPECT_EQ(refusal(digest + "cd']}]}"),
            "spec.uprobes[0].binaryDigests: /bin/a is none of these files: build-id:ab. With \"ignore: "
            "{digestVerificationFailure: true}\" the policy applies without this hook");
}

}  // namespace
}  // namespace sluice::policy::tracing
