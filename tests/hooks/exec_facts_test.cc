// Filters on what a process has changed since its last exec.
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>

#include <filesystem>
#include <thread>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

class ChangedSinceExec : public HookTest {
 protected:
  void ApplyWith(const std::string& filter) {
    const Status applied = fixture().Apply(OpenPolicy("changed", filter));
    ASSERT_TRUE(applied.ok()) << applied;
    fixture().Take();
  }
  std::size_t RecordsOfThisRun() { return fixture().Take().size(); }
  // Whether a child's open of the file is seen, after `before`.
  bool IsSeen(const std::function<void()>& before) {
    EXPECT_EQ(StatusOfOpen(file(), before), 0);
    return !fixture().Take().empty();
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(ChangedSinceExec);

void Unshare(int what) {
  if (unshare(what) != 0) _exit(90);
}

// Gives up CAP_NET_RAW.
void DropCapability() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) != 0 || (data[0].effective & 1U << CAP_NET_RAW) == 0) _exit(91);
  data[0].effective &= ~(1U << CAP_NET_RAW);
  if (syscall(SYS_capset, &header, data) != 0) _exit(92);
}

// Runs the rest of the child's code in a child of its own.
void ForkAgain() {
  const pid_t child = fork();
  if (child == 0) return;
  _exit(child > 0 ? WEXITSTATUS(Reap(child)) : 93);
}

TEST_P(ChangedSinceExec, Namespaces) {
  ApplyWith("matchNamespaceChanges: [{operator: In, values: [Uts, Ipc]}]");
  EXPECT_FALSE(IsSeen([] {}));
  EXPECT_TRUE(IsSeen([] { Unshare(CLONE_NEWUTS); }));
  EXPECT_FALSE(IsSeen([] { Unshare(CLONE_NEWNS); })) << "of another type";
  EXPECT_TRUE(IsSeen([] {
    Unshare(CLONE_NEWUTS);
    ForkAgain();
  })) << "a fork is no exec";
  ApplyWith("matchNamespaceChanges: [{operator: NotIn, values: [Uts]}]");
  EXPECT_TRUE(IsSeen([] {}));
  EXPECT_FALSE(IsSeen([] { Unshare(CLONE_NEWUTS); }));
}

TEST_P(ChangedSinceExec, AnExecBeginsAnew) {
  const auto cat_seen = [&](const std::function<void()>& before) {
    EXPECT_EQ(Reap(Fork([&] {
                before();
                Exec("/bin/cat", {"cat", file()});
              })),
              0);
    return !fixture().Take().empty();
  };
  ApplyWith("matchNamespaceChanges: [{operator: In, values: [Uts]}]");
  EXPECT_FALSE(cat_seen([] { Unshare(CLONE_NEWUTS); })) << "cat has changed nothing";
  ApplyWith("matchNamespaceChanges: [{operator: NotIn, values: [Uts]}]");
  EXPECT_TRUE(cat_seen([] { Unshare(CLONE_NEWUTS); }));
}

TEST_P(ChangedSinceExec, Capabilities) {
  ApplyWith("matchCapabilityChanges: [{type: Effective, operator: In, values: [CAP_NET_RAW, CAP_CHOWN]}]");
  EXPECT_FALSE(IsSeen([] {}));
  EXPECT_TRUE(IsSeen([] { DropCapability(); }));
  ApplyWith("matchCapabilityChanges: [{type: Effective, operator: In, values: [CAP_CHOWN]}]");
  EXPECT_FALSE(IsSeen([] { DropCapability(); })) << "another capability";
  ApplyWith("matchCapabilityChanges: [{type: Permitted, operator: In, values: [CAP_NET_RAW]}]");
  EXPECT_FALSE(IsSeen([] { DropCapability(); })) << "another set";
}

// What a program's children do, whatever they execute; and neither what others do, nor what their parents do.
TEST_P(ChangedSinceExec, ProgramsWithTheirChildren) {
  const std::string program = directory().path() + "/shell";
  std::filesystem::copy_file("/bin/sh", program);
  const auto cat = [&](const std::string& shell) {
    // Two programs down, and the command after it keeps the shell from being replaced by cat.
    EXPECT_EQ(Reap(Fork([&] { Exec(shell, {"sh", "-c", "/bin/sh -c '/bin/cat " + file() + "; true'; true"}); })), 0);
    return RecordsOfThisRun();
  };
  const std::string filter = "matchBinaries: [{{operator: {}, values: [\"{}\"], followChildren: true}}]";
  ApplyWith(fmt::format(fmt::runtime(filter), "In", program));
  EXPECT_EQ(cat("/bin/sh"), 0U);
  EXPECT_GT(cat(program), 0U);
  EXPECT_FALSE(IsSeen([] {}));
  ApplyWith(fmt::format(fmt::runtime(filter), "NotIn", program));
  EXPECT_EQ(cat(program), 0U);
  EXPECT_GT(cat("/bin/sh"), 0U);
}

// A program that ran before the policy was there, and its child.
TEST_P(ChangedSinceExec, ProgramsThatRunAlreadyAreFollowedToo) {
  ApplyWith(fmt::format("matchBinaries: [{{operator: In, values: [\"{}\"], followChildren: true}}]",
                        std::filesystem::read_symlink("/proc/self/exe").string()));
  EXPECT_TRUE(IsSeen([] {}));
  EXPECT_EQ(Reap(Fork([&] { Exec("/bin/cat", {"cat", file()}); })), 0);
  EXPECT_GT(RecordsOfThisRun(), 0U);
  EXPECT_EQ(Reap(Fork([&] {
              std::thread([&] { Exec("/bin/cat", {"cat", file()}); }).join();
              _exit(94);
            })),
            0);
  EXPECT_GT(RecordsOfThisRun(), 0U) << "a thread that executes a program takes the place of its process";
  ApplyWith("matchBinaries: [{operator: In, values: [/bin/none], followChildren: true}]");
  EXPECT_FALSE(IsSeen([] {}));
}

// A pid that is 1 in its own namespace, as the first process of a container.
TEST_P(ChangedSinceExec, DescendantsOfAProcessInItsPidNamespace) {
  ApplyWith("matchPIDs: [{operator: In, values: [1], isNamespacePID: true, followForks: true}]");
  const auto inside = [](int depth) {
    return [depth] {
      Unshare(CLONE_NEWPID);
      for (int i = 0; i < depth; ++i) ForkAgain();
    };
  };
  EXPECT_TRUE(IsSeen(inside(1))) << "the first process itself";
  EXPECT_TRUE(IsSeen(inside(3))) << "its grandchild";
  ApplyWith("matchPIDs: [{operator: In, values: [2], isNamespacePID: true, followForks: true}]");
  EXPECT_FALSE(IsSeen(inside(1)));
  EXPECT_TRUE(IsSeen(inside(3))) << "a child of the second process";
}

}  // namespace
}  // namespace sluice::test
