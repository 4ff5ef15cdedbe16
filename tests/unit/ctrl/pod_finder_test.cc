// PodFinder on made-up trees of cgroups and processes: a namespace is a file, which processes and names link to.
#include "ctrl/node/pod_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace sluice::node {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PodFinderTest : public ::testing::Test {
 protected:
  PodFinderTest() {
    std::string name = fs::temp_directory_path() / "sluice-finder-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    for (const char* path : {"proc", "cgroup/kubepods/burstable", "cgroup/kubepods/besteffort", "netns", "ns"}) {
      fs::create_directories(Path(path));
    }
    AddProcess("", 1, "host", 1);
    fs::create_symlink("1", Path("proc/self"));
    finder_ = std::make_unique<PodFinder>(PodFinder::Options{
        .proc = Path("proc"), .cgroup_roots = {Path("cgroup")}, .netns_directories = {Path("netns")}});
  }
  ~PodFinderTest() override { fs::remove_all(directory_); }

  std::string Path(const std::string& path) const { return directory_ + "/" + path; }

  // A process in the cgroup `cgroup` (below kubepods; empty: in none) and the namespace `netns`.
  void AddProcess(const std::string& cgroup, int pid, const std::string& netns, int started) {
    const std::string process = Path("proc/" + std::to_string(pid));
    fs::create_directories(process + "/ns");
    if (!fs::exists(Path("ns/" + netns))) std::ofstream(Path("ns/" + netns)) << netns;
    fs::create_hard_link(Path("ns/" + netns), process + "/ns/net");
    std::ofstream(process + "/stat") << pid << " (a name) with) R 1 1 1 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 "
                                     << started << " 1000 1\n";
    if (!cgroup.empty()) Enter(cgroup, pid);
  }
  void Enter(const std::string& cgroup, int pid) {
    fs::create_directories(Path("cgroup/kubepods/" + cgroup));
    std::ofstream(Path("cgroup/kubepods/" + cgroup + "/cgroup.procs"), std::ios::app) << pid << "\n";
  }
  void EndProcess(const std::string& cgroup, int pid) {
    fs::remove_all(Path("proc/" + std::to_string(pid)));
    const std::string file = Path("cgroup/kubepods/" + cgroup + "/cgroup.procs");
    std::string left;
    {
      std::ifstream in(file);
      for (int one = 0; in >> one;) left += one == pid ? "" : std::to_string(one) + "\n";
    }
    std::ofstream(file) << left;
  }
  // As a runtime does. The name outlives the processes.
  void Name(const std::string& netns, const std::string& name) {
    fs::create_hard_link(Path("ns/" + netns), Path("netns/" + name));
  }
  std::string Id(const std::string& netns) const {
    struct stat facts {};
    EXPECT_EQ(::stat(Path("ns/" + netns).c_str(), &facts), 0);
    return std::to_string(facts.st_ino);
  }

  // "UID NETNS" of each, after `passed` more seconds.
  std::vector<std::string> Find(seconds passed = seconds(1)) {
    now_ += passed;
    auto found = finder_->Find(now_);
    EXPECT_TRUE(found.ok()) << found.status();
    std::vector<std::string> lines;
    for (const Sandbox& one : found.value_or(std::vector<Sandbox>())) {
      std::string path = one.netns;
      if (path.starts_with(directory_)) path = path.substr(directory_.size() + 1);
      lines.push_back(one.uid + " " + path);
    }
    return lines;
  }

  std::string directory_;
  PodFinder::Time now_{seconds(1000)};
  std::unique_ptr<PodFinder> finder_;
};

TEST_F(PodFinderTest, APodIsWhereItsFirstProcessIs) {
  AddProcess("burstable/poda/pause", 10, "a", 100);
  AddProcess("burstable/poda/server", 7, "a", 120);
  const auto found = finder_->Find(now_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, ElementsAre(Sandbox{.pod = {},
                                          .uid = "a",
                                          .id = Id("a"),
                                          .netns = Path("proc/10/ns/net"),
                                          .interface = "eth0",
                                          .cgroup = "/kubepods/burstable/poda"}));
}

TEST_F(PodFinderTest, AllPodsInTheOrderOfTheirStart) {
  AddProcess("burstable/podb/c", 10, "b", 300);
  AddProcess("podc/c", 11, "c", 200);
  AddProcess("besteffort/poda/c/init.scope", 12, "a", 100);
  EXPECT_THAT(Find(), ElementsAre("a proc/12/ns/net", "c proc/11/ns/net", "b proc/10/ns/net"));
}

TEST_F(PodFinderTest, ANameOfTheNamespaceIsBetterThanAProcess) {
  AddProcess("burstable/poda/c", 10, "a", 100);
  Name("a", "cni-1");
  EXPECT_THAT(Find(), ElementsAre("a netns/cni-1"));
}

TEST_F(PodFinderTest, OnTheHostsNetworkIsNoSandbox) {
  AddProcess("burstable/poda/c", 10, "host", 100);
  Name("host", "default");
  EXPECT_THAT(Find(), IsEmpty());
  EXPECT_EQ(finder_->looked(), 1U);
  // Looked at again ever more seldom.
  for (int i = 0; i < 60; ++i) EXPECT_THAT(Find(), IsEmpty());
  EXPECT_LE(finder_->looked(), 7U);
}

// A runtime enters the pod's cgroup before its namespaces. The monitor of CRI-O's containers stays outside.
TEST_F(PodFinderTest, AProcessOfTheHostInThePodsCgroupDoesNotHideThePod) {
  AddProcess("burstable/poda/c", 10, "host", 100);
  EXPECT_THAT(Find(), IsEmpty());
  AddProcess("burstable/poda/c", 11, "a", 101);
  Find();
  EXPECT_THAT(Find(), ElementsAre("a proc/11/ns/net"));
}

TEST_F(PodFinderTest, APodWithoutAProcessIsLookedForAtOnce) {
  fs::create_directories(Path("cgroup/kubepods/poda/c"));
  EXPECT_THAT(Find(), IsEmpty());
  AddProcess("poda/c", 10, "a", 100);
  EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
}

TEST_F(PodFinderTest, AProcessCannotHideItsPodInANamespaceOfItsOwn) {
  // The pod's first process has made itself a namespace; another one is where the runtime put both.
  AddProcess("poda/c", 10, "own", 100);
  AddProcess("poda/c", 11, "a", 101);
  Name("a", "cni-1");
  EXPECT_THAT(Find(), ElementsAre("a netns/cni-1"));
}

TEST_F(PodFinderTest, ManyProcessesCannotHideTheFirstOne) {
  AddProcess("poda/pause", 10, "a", 100);
  for (int pid = 1000; pid < 1200; ++pid) AddProcess("poda/c", pid, "own", pid);
  EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
}

TEST_F(PodFinderTest, AKnownPodIsNotLookedAtAgainForHalfAMinute) {
  AddProcess("poda/c", 10, "a", 100);
  for (int i = 0; i < 25; ++i) EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
  EXPECT_EQ(finder_->looked(), 1U);
  EXPECT_THAT(Find(PodFinder::kAgain), ElementsAre("a proc/10/ns/net"));
  EXPECT_EQ(finder_->looked(), 2U);
}

TEST_F(PodFinderTest, ASearchThatFindsNothingNewIsShort) {
  constexpr int kPods = 110;  // as many as a kubelet takes by default
  for (int pod = 0; pod < kPods; ++pod) {
    const std::string name = "burstable/pod" + std::to_string(pod);
    for (int container = 0; container < 3; ++container) {
      const int pid = 1000 + 3 * pod + container;
      AddProcess(name + "/c" + std::to_string(container), pid, "ns" + std::to_string(pod), pid);
    }
  }
  for (const char* cgroup : {"", "kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
    for (int file = 0; file < 70; ++file)
      std::ofstream(Path("cgroup/") + cgroup + "/file" + std::to_string(file)) << "";
  }
  const auto microseconds = [&](int times) {
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) EXPECT_EQ(finder_->Find(now_)->size(), static_cast<std::size_t>(kPods));
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count() / times;
  };
  const double first = microseconds(1);
  const double later = microseconds(100);
  printf("%d pods with 3 processes: the first search %.0f us, a later one %.0f us\n", kPods, first, later);
  EXPECT_EQ(finder_->looked(), static_cast<std::uint64_t>(kPods)) << "each pod's processes once";
  EXPECT_LT(later, first);
}

TEST_F(PodFinderTest, WhenItsProcessEndsAnotherOneLeadsThere) {
  AddProcess("poda/c", 10, "a", 100);
  AddProcess("poda/d", 11, "a", 101);
  EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
  EndProcess("poda/c", 10);
  EXPECT_THAT(Find(), ElementsAre("a proc/11/ns/net"));
}

// The kubelet keeps the pod's cgroup.
TEST_F(PodFinderTest, ANewSandboxOfThePodIsFoundAtOnce) {
  AddProcess("poda/c", 10, "a", 100);
  Name("a", "cni-1");
  EXPECT_THAT(Find(), ElementsAre("a netns/cni-1"));
  EndProcess("poda/c", 10);
  fs::remove(Path("netns/cni-1"));
  EXPECT_THAT(Find(), IsEmpty());
  AddProcess("poda/d", 11, "b", 200);
  Name("b", "cni-2");
  EXPECT_THAT(Find(), ElementsAre("a netns/cni-2"));
}

TEST_F(PodFinderTest, ANumberThatIsUsedAgainIsAnotherProcess) {
  AddProcess("poda/c", 10, "a", 100);
  EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
  EndProcess("poda/c", 10);
  AddProcess("podb/c", 10, "b", 200);
  AddProcess("poda/c", 11, "a", 150);
  EXPECT_THAT(Find(), ElementsAre("a proc/11/ns/net", "b proc/10/ns/net"));
}

TEST_F(PodFinderTest, APodThatGoesIsForgotten) {
  AddProcess("poda/c", 10, "a", 100);
  EXPECT_THAT(Find(), ElementsAre("a proc/10/ns/net"));
  fs::remove_all(Path("cgroup/kubepods/poda"));
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(PodFinderTest, WhatCannotBeReadIsCounted) {
  AddProcess("poda/c", 10, "a", 100);
  AddProcess("podb/c", 11, "b", 200);
  fs::remove(Path("proc/10/ns/net"));
  fs::create_symlink("net", Path("proc/10/ns/net"));  // a loop: an error that is not "there is none"
  EXPECT_THAT(Find(), ElementsAre("b proc/11/ns/net"));
  EXPECT_EQ(finder_->unread(), 1U);
  EXPECT_THAT(finder_->unread_error(), HasSubstr("pod with uid a: "));
  EXPECT_THAT(finder_->unread_error(), HasSubstr("proc/10/ns/net"));
}

TEST_F(PodFinderTest, WithoutCgroupsOfAKubeletNothingIsSaid) {
  fs::remove_all(Path("cgroup/kubepods"));
  EXPECT_TRUE(absl::IsNotFound(finder_->Find(now_).status()));
  fs::remove_all(Path("proc/1"));
  EXPECT_FALSE(finder_->Find(now_).ok()) << "which namespace is the host's is not known";
}

}  // namespace
}  // namespace sluice::node
