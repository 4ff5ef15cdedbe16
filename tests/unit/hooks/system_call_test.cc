#include "kernel/bpf/system_call.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#ifdef __x86_64__
#define SL_PREFIX "__x64_sys_"
#else
#define SL_PREFIX "__arm64_sys_"
#endif

namespace sluice::bpf {
namespace {

TEST(SystemCall, HasANumberAndAFunction) {
  const SystemCall openat = FindSystemCall("openat");
  EXPECT_EQ(openat.name, "openat");
  EXPECT_EQ(openat.number, std::optional<std::uint32_t>(SYS_openat));
  EXPECT_EQ(openat.function, SL_PREFIX "openat");
}

TEST(SystemCall, ItsFunctionMayHaveAnotherName) {
  for (const char* name : {"fstat", "newfstat"}) {
    const SystemCall call = FindSystemCall(name);
    EXPECT_EQ(call.name, "fstat");
    EXPECT_EQ(call.number, std::optional<std::uint32_t>(SYS_fstat));
    EXPECT_EQ(call.function, SL_PREFIX "newfstat");
  }
  EXPECT_EQ(FindSystemCall("umount").number, std::optional<std::uint32_t>(SYS_umount2));
}

TEST(SystemCall, AnotherArchitecturesHasNoNumber) {
  EXPECT_EQ(FindSystemCall("chown32").number, std::nullopt);
  EXPECT_EQ(FindSystemCall("no_such_call").number, std::nullopt);
}

}  // namespace
}  // namespace sluice::bpf
