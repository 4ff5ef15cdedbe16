// Hooks on places in programs: uprobes and static probes. The program is this one.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "kernel/hooks/program_files.h"
#include "tests/hooks/hook_test.h"

extern "C" {
// Not inlined, and not optimised away.
__attribute__((noinline, used)) long sl_probed(const char* text, int number, long size) {
  asm volatile("" ::: "memory");
  return number + size + (text[0] == '\0' ? 1 : 0);
}

// Above 0 while somebody watches sluice:probe.
__attribute__((used, section(".probes"))) volatile unsigned short sl_probe_watchers = 0;

asm(".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
    ".weak _.stapsdt.base\n"
    ".hidden _.stapsdt.base\n"
    "_.stapsdt.base: .space 1\n"
    ".size _.stapsdt.base, 1\n"
    ".popsection\n");

// A static probe sluice:NAME with arguments, written by hand: the note has addresses of the instruction, of the base
// and of the counter, then provider, name and arguments.
#define SL_STATIC_PROBE(name, counter, arguments, ...) \
  asm volatile(                                        \
      "990: nop\n"                                     \
      ".pushsection .note.stapsdt, \"\", \"note\"\n"   \
      ".balign 4\n"                                    \
      ".4byte 992f - 991f, 994f - 993f, 3\n"           \
      "991: .asciz \"stapsdt\"\n"                      \
      "992: .balign 4\n"                               \
      "993: .8byte 990b\n"                             \
      ".8byte _.stapsdt.base\n"                        \
      ".8byte " counter                                \
      "\n"                                             \
      ".asciz \"sluice\"\n"                            \
      ".asciz \"" name                                 \
      "\"\n"                                           \
      ".asciz \"" arguments                            \
      "\"\n"                                           \
      "994: .balign 4\n"                               \
      ".popsection\n" ::__VA_ARGS__)

__attribute__((noinline, used)) void sl_hit_probe(const char* text, int number) {
  long size = number * 2L;
  // In a register, in memory, and a constant.
  SL_STATIC_PROBE("probe", "sl_probe_watchers", "-4@%k0 8@%1 8@%2 4@%3", "r"(number), "r"(text), "m"(size), "i"(7));
}

__attribute__((noinline, used)) void sl_hit_other_place(const char* text, int number) {
  const int reversed = -number;
  SL_STATIC_PROBE("probe", "sl_probe_watchers", "-4@%0 8@%1 8@%2 4@%3", "m"(reversed), "m"(text), "i"(-1), "i"(8));
}

__attribute__((noinline, used)) void sl_hit_other_probe() { SL_STATIC_PROBE("other", "0", "4@%0", "i"(1)); }
}

namespace sluice::test {
namespace {

using testing::HasSubstr;

std::string ThisProgram() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
  return std::string(path, length < 0 ? 0 : static_cast<std::size_t>(length));
}

class HookedProgram : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (!bpf::HasUprobes()) GTEST_SKIP() << "this kernel has no uprobes (CONFIG_UPROBES, CONFIG_UPROBE_EVENTS)";
    auto made = HookFixture::Create({});
    ASSERT_TRUE(made.ok()) << made.status();
    hooks_ = *std::move(made);
  }
  // `fields`: of the hook on this program.
  Status Apply(const std::string& kind, const std::string& fields) {
    return hooks_->Apply(PolicyText("program", fmt::format("{{{}: [{{path: {}, {}}}]}}", kind, ThisProgram(), fields)));
  }
  Status ApplyTo(const std::string& path, const std::string& fields) {
    return hooks_->Apply(PolicyText("program", fmt::format("{{uprobes: [{{path: {}, {}}}]}}", path, fields)));
  }
  std::string Attached(std::size_t hook) const { return hooks_->tables().List().at(0).hooks.at(hook).attached; }
  // The text is copied: programs in the kernel cannot read what is in the file and not yet in the child's memory.
  static int Call(const std::string& text, int number) {
    return Reap(Fork([&] { _exit(sl_probed(std::string(text).c_str(), number, 10) == 0 ? 1 : 0); }));
  }

  std::unique_ptr<HookFixture> hooks_;
  TempDir directory_;
};

constexpr const char* kArgs = "args: [{index: 0, type: string}, {index: 1, type: int}]";

TEST_F(HookedProgram, AFunctionsArgumentsAndItsResult) {
  const Status applied = Apply(
      "uprobes", fmt::format("symbols: [sl_probed], {}, return: true, returnArg: {{index: 0, type: long}}, selectors: "
                             "[{{matchArgs: [{{index: 0, operator: Equal, values: [wanted]}}, {{index: 1, operator: "
                             "LT, values: [0]}}]}}]",
                             kArgs));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_THAT(Attached(0), HasSubstr("uprobe " + ThisProgram() + ":0x"));
  EXPECT_EQ(Call("other", -5), 0);
  EXPECT_EQ(Call("wanted", 5), 0);
  EXPECT_EQ(Call("wanted", -5), 0);
  const auto call = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->Text(0), "wanted");
  EXPECT_EQ(static_cast<__s64>(call->event.arguments[1].number), -5);
  const auto result = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->event.kind, SL_HOOK_EVENT_RETURN);
  EXPECT_EQ(result->event.return_value, 5);
  EXPECT_EQ(hooks_->Count("program", SL_HOOK_COUNT_MATCHED), 1U);
}

TEST_F(HookedProgram, SigkillEndsTheCaller) {
  const Status applied = Apply("uprobes", fmt::format("symbols: [sl_probed], {}, selectors: [{{matchArgs: [{{index: 0, "
                                                      "operator: Prefix, values: [kill]}}], matchActions: [{{action: "
                                                      "Sigkill}}]}}]",
                                                      kArgs));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Call("allowed", 1), 0);
  EXPECT_EQ(Call("kill me", 1), kKilled);
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_EQ(Call("kill me", 1), 0);
}

TEST_F(HookedProgram, OffsetsAndAddressesNameTheSamePlace) {
  const auto offset = hooks::ProgramFiles().OffsetOfSymbol(ThisProgram(), "sl_probed");
  ASSERT_TRUE(offset.ok()) << offset.status();
  Status applied = Apply("uprobes", fmt::format("offsets: [{}], {}", *offset, kArgs));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Call("by offset", 1), 0);
  auto record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->Text(0), "by offset");
  // In a position-independent program, addresses begin at 0, and those of code differ from offsets by a constant.
  std::uint64_t address = *offset;
  while (hooks::ProgramFiles().OffsetOfAddress(ThisProgram(), address).value_or(0) != *offset) {
    address += 0x1000;
    ASSERT_LT(address, *offset + 0x1000000);
  }
  applied = Apply("uprobes", fmt::format("addrs: [{}], {}", address, kArgs));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(Call("by address", 1), 0);
  record = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->Text(0), "by address");
}

TEST_F(HookedProgram, WhatIsNotThereIsRefused) {
  const auto refusal = [&](const Status& status) {
    EXPECT_FALSE(status.ok());
    return Message(status);
  };
  EXPECT_THAT(refusal(Apply("uprobes", "symbols: [no_such_function]")), HasSubstr("has no function no_such_function"));
  EXPECT_THAT(refusal(Apply("uprobes", "addrs: [1]")), HasSubstr("no code at address 0x1"));
  EXPECT_THAT(refusal(ApplyTo(directory_.path() + "/none", "symbols: [main]")), HasSubstr("open " + directory_.path()));
  const std::string text = directory_.Write("text", std::string(1000, 'x'), 0755);
  EXPECT_THAT(refusal(ApplyTo(text, "symbols: [main]")), HasSubstr("is no program or library"));
  EXPECT_THAT(refusal(Apply("uprobes", "symbols: [sl_probed], args: [{index: 0, type: file}]")),
              HasSubstr("no argument of type file"));
  EXPECT_THAT(refusal(Apply("usdts", "provider: sluice, name: none")), HasSubstr("no static probe sluice:none"));
  EXPECT_THAT(refusal(Apply("usdts", "provider: sluice, name: probe, args: [{index: 4, type: int}]")),
              HasSubstr("the probe sluice:probe has 4"));
  EXPECT_TRUE(hooks_->tables().List().empty());
}

TEST_F(HookedProgram, AnotherFileThanThePolicyMeansIsRefusedOrLeftOut) {
  const std::string wrong = "symbols: [sl_probed], binaryDigests: [\"sha256:" + std::string(64, '0') + "\"]";
  const Status refused = Apply("uprobes", wrong);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(Message(refused), HasSubstr("is none of these files: sha256:"));
  const auto right = hooks::ProgramFiles().DigestOf(ThisProgram(), "sha256");
  ASSERT_TRUE(right.ok()) << right.status();
  ASSERT_TRUE(Apply("uprobes", "symbols: [sl_probed], binaryDigests: [\"sha256:" + *right + "\"]").ok());
  EXPECT_EQ(hooks_->tables().List().at(0).hooks.size(), 1U);
  const Status ignored = Apply("uprobes", wrong + ", ignore: {digestVerificationFailure: true}");
  ASSERT_TRUE(ignored.ok()) << ignored;
  EXPECT_TRUE(hooks_->tables().List().at(0).hooks.empty());
}

// In two places of the program, with its arguments in other registers and memory.
TEST_F(HookedProgram, AStaticProbesArguments) {
  const Status applied = Apply(
      "usdts",
      "provider: sluice, name: probe, args: [{index: 0, type: int32}, {index: 1, type: string}, {index: 2, type: "
      "int64}, {index: 3, type: uint32}], selectors: [{matchArgs: [{index: 1, operator: Equal, values: [hit]}]}]");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_THAT(Attached(0), HasSubstr("uprobe " + ThisProgram()));
  EXPECT_NE(Attached(0), Attached(1));
  const auto hit = [](auto function, const char* text, int number) {
    EXPECT_EQ(Reap(Fork([&] {
                function(std::string(text).c_str(), number);
                _exit(0);
              })),
              0);
  };
  hit(sl_hit_probe, "missed", 3);
  hit(sl_hit_other_place, "missed", 3);
  hit(sl_hit_probe, "hit", 3);
  hit(sl_hit_other_place, "hit", 4);
  const auto numbers = [&](const StatusOr<HookRecord>& record) {
    std::vector<__s64> found;
    for (const int i : {0, 2, 3}) found.push_back(static_cast<__s64>(record->event.arguments[i].number));
    return found;
  };
  const auto first = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->Text(1), "hit");
  EXPECT_EQ(numbers(first), (std::vector<__s64>{3, 6, 7}));
  const auto second = hooks_->WaitFor([](const HookRecord&) { return true; });
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(numbers(second), (std::vector<__s64>{-4, -1, 8}));
  EXPECT_EQ(hooks_->Count("program", SL_HOOK_COUNT_MATCHED), 2U);
}

TEST_F(HookedProgram, AStaticProbesCounterSaysThatSomebodyWatches) {
  const auto watchers = [] { return Reap(Fork([] { _exit(sl_probe_watchers); })); };
  EXPECT_EQ(WEXITSTATUS(watchers()), 0);
  ASSERT_TRUE(Apply("usdts", "provider: sluice, name: probe").ok());
  EXPECT_GT(WEXITSTATUS(watchers()), 0);
  ASSERT_TRUE(hooks_->RemoveAll().ok());
  EXPECT_EQ(WEXITSTATUS(watchers()), 0);
  ASSERT_TRUE(Apply("usdts", "provider: sluice, name: other").ok());
  EXPECT_EQ(WEXITSTATUS(watchers()), 0) << "another probe";
}

}  // namespace
}  // namespace sluice::test
