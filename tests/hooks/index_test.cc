// The index of a point in the kernel: files that have another name than their path says, and how the policies of one
// call find theirs.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <set>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::UnorderedElementsAre;

class HookIndex : public HookTest {
 protected:
  // A policy on fcntl of files with such a path.
  void Watch(const std::string& name, const std::string& op, const std::string& value) {
    const Status applied = fixture().Apply(PolicyText(
        name, fmt::format("{{kprobes: [{{call: sys_fcntl, syscall: true, args: [{{index: 0, type: fd}}], selectors: "
                          "[{{matchArgs: [{{index: 0, operator: {}, values: [\"{}\"]}}]}}]}}]}}",
                          op, value)));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  // Opens a file in a child, after `before`, and calls fcntl for it once. Returns the policies that saw it.
  std::multiset<std::string> SeenBy(
      const std::function<int()>& open_it, const std::function<void()>& before = [] {}) {
    fixture().Take();
    const pid_t child = Fork([&] {
      before();
      const int fd = open_it();
      if (fd < 0) _exit(1);
      fcntl(fd, F_GETFD);
      _exit(0);
    });
    EXPECT_EQ(Reap(child), 0);
    std::multiset<std::string> policies;
    for (const HookRecord& record : fixture().Take()) {
      if (Of(child)(record)) policies.insert(fixture().PolicyOf(record));
    }
    return policies;
  }
  static std::function<int()> Open(const std::string& path) {
    return [path] { return open(path.c_str(), O_RDONLY); };
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(HookIndex);

TEST_P(HookIndex, PoliciesFindTheirFiles) {
  Watch("equal", "Equal", file());
  Watch("equal-elsewhere", "Equal", "/elsewhere/secret");
  Watch("name", "Postfix", "/secret");
  Watch("part-of-name", "Postfix", "cret");
  Watch("directory", "Prefix", directory().path() + "/");
  Watch("not", "NotEqual", file());
  EXPECT_THAT(SeenBy(Open(file())), UnorderedElementsAre("equal", "name", "part-of-name", "directory"));
  EXPECT_THAT(SeenBy(Open(other())), UnorderedElementsAre("directory", "not"));
}

TEST_P(HookIndex, AFileThatIsMountedAtAnotherNameIsFoundByItsPath) {
  Watch("place", "Equal", other());
  Watch("source", "Equal", file());
  const auto mount_it = [&] {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount(file().c_str(), other().c_str(), nullptr, MS_BIND, nullptr) != 0)
      _exit(2);
  };
  EXPECT_THAT(SeenBy(Open(other()), mount_it), UnorderedElementsAre("place"));
}

TEST_P(HookIndex, AFileInNoDirectoryIsFoundByItsPath) {
  Watch("memory", "Equal", "/memfd:a/b");
  Watch("other", "Equal", "/memfd:a/c");
  EXPECT_THAT(SeenBy([] { return memfd_create("a/b", 0); }), UnorderedElementsAre("memory"));
}

TEST_P(HookIndex, TheRootOfAProcessHasNoName) {
  Watch("root", "Equal", "/");
  Watch("name-outside", "Postfix", directory().path().substr(directory().path().rfind('/')));
  Watch("in-root", "Equal", "/secret");
  const auto enter_root = [&] {
    if (chroot(directory().path().c_str()) != 0) _exit(2);
  };
  EXPECT_THAT(SeenBy(Open("/"), enter_root), UnorderedElementsAre("root"));
  EXPECT_THAT(SeenBy(Open("/secret"), enter_root), UnorderedElementsAre("in-root"));
}

TEST_P(HookIndex, APolicyThatComesOrGoesLeavesTheOthers) {
  constexpr int kPolicies = 70;  // more than bits
  const auto name = [](int i) { return fmt::format("p{}", i); };
  for (int i = 0; i < kPolicies; ++i) Watch(name(i), "Postfix", fmt::format("/name-{}", i));
  const std::string path = directory().Write("name-69", "", 0644);
  EXPECT_THAT(SeenBy(Open(path)), UnorderedElementsAre("p69"));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(fixture().tables().Remove({.ns = "", .name = name(i)}).ok());
  EXPECT_THAT(SeenBy(Open(path)), UnorderedElementsAre("p69"));
}

TEST_P(HookIndex, AfterAllPoliciesItsTablesAreEmpty) {
  const auto fill = [&] {
    std::map<std::string, std::uint64_t> used;
    for (const hooks::TableFill& table : fixture().tables().Fill()) used[table.name] = table.used;
    return used;
  };
  Watch("one", "Equal", file());
  Watch("two", "Equal", other());
  EXPECT_GT(fill()["hook_columns"], 0U);
  EXPECT_GT(fill()["hook_slots"], 0U);
  ASSERT_TRUE(fixture().RemoveAll().ok());
  EXPECT_EQ(fill()["hook_columns"], 0U);
  EXPECT_EQ(fill()["hook_slots"], 0U);
}

}  // namespace
}  // namespace sluice::test
