#include "telemetry/hook/hook_stacks.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

namespace sluice::telemetry {
namespace {

constexpr char kSymbols[] =
    "ffffffff81000000 T _stext\n"
    "ffffffff81000200 t do_sys_openat2\n"
    "ffffffff81000180 D some_data\n"
    "ffffffffc0000000 t nft_do_chain\t[nf_tables]\n"
    "broken\n"
    "ffffffff81000100 T tcp_connect\n";

TEST(KernelSymbols, TheFunctionBelowTheAddress) {
  const auto symbols = KernelSymbols::Parse(kSymbols);
  ASSERT_TRUE(symbols.ok()) << symbols.status();
  EXPECT_EQ(symbols->size(), 4U) << "functions only";
  const auto connect = symbols->Find(0xffffffff81000190);
  ASSERT_TRUE(connect);
  EXPECT_EQ(connect->name, "tcp_connect");
  EXPECT_EQ(connect->offset, 0x90U);
  EXPECT_EQ(connect->module, "");
  EXPECT_EQ(symbols->Find(0xffffffffc0000010)->module, "nf_tables");
  EXPECT_EQ(symbols->Find(0xffffffff81000200)->offset, 0U);
  EXPECT_FALSE(symbols->Find(0x1000));
}

TEST(KernelSymbols, HiddenAddressesAreAnError) {
  const auto symbols = KernelSymbols::Parse("0000000000000000 T _stext\n0000000000000000 T tcp_connect\n");
  ASSERT_FALSE(symbols.ok());
  EXPECT_THAT(Message(symbols.status()), testing::HasSubstr("kptr_restrict"));
}

TEST(HookStacks, FramesHaveNamesAndNoAddresses) {
  const std::string symbols = testing::TempDir() + "kallsyms";
  std::ofstream(symbols) << kSymbols;
  HookStacks stacks(
      [](std::int32_t) {
        return std::vector<std::uint64_t>{0xffffffff81000210, 0x5, 0xffffffff81000101};
      },
      {.symbols = symbols});
  sl_hook_event event{};
  event.kernel_stack = 3;
  event.user_stack = -1;
  v1::Hook hook;
  stacks.Fill(event, &hook);
  ASSERT_EQ(hook.kernel_stack_size(), 2);
  EXPECT_EQ(hook.kernel_stack(0).symbol(), "do_sys_openat2");
  EXPECT_EQ(hook.kernel_stack(0).offset(), 0x10U);
  EXPECT_EQ(hook.kernel_stack(1).symbol(), "tcp_connect");
  EXPECT_EQ(hook.user_stack_size(), 0);
}

TEST(HookStacks, FramesOfTheProgramHaveItsFile) {
  const auto here = reinterpret_cast<std::uint64_t>(&KernelSymbols::Parse);
  HookStacks stacks([here](std::int32_t) { return std::vector<std::uint64_t>{here, 0x10}; });
  sl_hook_event event{};
  event.kernel_stack = -1;
  event.user_stack = 1;
  event.pid = static_cast<std::uint32_t>(getpid());
  v1::Hook hook;
  stacks.Fill(event, &hook);
  ASSERT_EQ(hook.user_stack_size(), 1);
  EXPECT_THAT(hook.user_stack(0).module(), testing::StartsWith("/"));
  EXPECT_GT(hook.user_stack(0).offset(), 0U);
}

TEST(HookStacks, NothingOfAProcessThatHasEnded) {
  HookStacks stacks([](std::int32_t) { return std::vector<std::uint64_t>{0x1000}; }, {.proc = "/nowhere"});
  sl_hook_event event{};
  event.kernel_stack = -1;
  event.user_stack = 1;
  v1::Hook hook;
  stacks.Fill(event, &hook);
  EXPECT_EQ(hook.user_stack_size(), 0);
}

}  // namespace
}  // namespace sluice::telemetry
