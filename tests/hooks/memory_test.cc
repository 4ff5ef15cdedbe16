// Memory of the kernel that hook policies take.
#include "perf/hooks/kernel_memory.h"
#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

constexpr std::uint64_t kOfAPolicy = 300'000, kOfAHundred = 10'000'000;

std::string PolicyOn(const std::string& name, const std::string& call, const std::string& rest = "") {
  return PolicyText(name, fmt::format("{{kprobes: [{{call: sys_{}, syscall: true, args: [{{index: 0, type: string}}], "
                                      "selectors: [{{matchArgs: [{{index: 0, operator: Equal, values: "
                                      "[\"/etc/secret-{}\"]}}]{}}}]}}]}}",
                                      call, name, rest));
}

class HookMemory : public testing::Test {
 protected:
  void SetUp() override { SL_REQUIRE_BPF(); }
};

// All maps and programs, with a ring of the agent's size.
TEST_F(HookMemory, OfAHundredPoliciesIsBounded) {
  constexpr const char* kCalls[] = {"openat",     "unlinkat", "mkdirat",  "execve",   "fchmodat", "symlink", "rename",
                                    "chdir",      "chroot",   "truncate", "swapoff",  "umount",   "mkdir",   "rmdir",
                                    "creat",      "link",     "unlink",   "readlink", "chmod",    "chown",   "acct",
                                    "readlinkat", "mknod",    "statfs",   "access"};
  const auto before = perf::BpfBytes();
  ASSERT_TRUE(before.ok()) << before.status();
  auto fixture = HookFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const auto apply = [&](int i) {
    return (*fixture)->Apply(PolicyOn(fmt::format("p{}", i), kCalls[static_cast<std::size_t>(i) % std::size(kCalls)]));
  };
  ASSERT_TRUE(apply(0).ok());
  const auto with_one = perf::BpfBytes();
  for (int i = 1; i < 100; ++i) ASSERT_TRUE(apply(i).ok());
  const auto with_all = perf::BpfBytes();
  ASSERT_TRUE(with_one.ok() && with_all.ok());
  EXPECT_LE(*with_all - *before, kOfAHundred);
  EXPECT_LE((*with_all - *with_one) / 99, kOfAPolicy);
  for (const hooks::PolicyInfo& info : (*fixture)->tables().List()) {
    EXPECT_GT(info.bytes, 0U);
    EXPECT_LE(info.bytes, kOfAPolicy);
  }
}

TEST_F(HookMemory, MapsComeWithThePoliciesThatNeedThem) {
  auto fixture = HookFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const auto is_made = [&](const char* name) { return (*fixture)->programs().pages(name)->page_fd(0) >= 0; };
  ASSERT_TRUE((*fixture)->Apply(PolicyOn("plain", "chroot")).ok());
  EXPECT_TRUE(is_made("hook_tests"));
  for (const char* name : {"hook_calls", "hook_rates", "hook_stacks", "hook_sets", "hook_socket_owners"})
    EXPECT_FALSE(is_made(name)) << name;
  ASSERT_TRUE(
      (*fixture)->Apply(PolicyOn("rate", "chroot", ", matchActions: [{action: Post, rateLimit: \"1m\"}]")).ok());
  EXPECT_TRUE(is_made("hook_rates"));
  ASSERT_TRUE(
      (*fixture)->Apply(PolicyOn("stack", "chroot", ", matchActions: [{action: Post, kernelStackTrace: true}]")).ok());
  EXPECT_TRUE(is_made("hook_stacks"));
}

}  // namespace
}  // namespace sluice::test
