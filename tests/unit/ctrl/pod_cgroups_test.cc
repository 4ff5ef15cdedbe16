#include "ctrl/node/pod_cgroups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace sluice::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kUid = "0b6e7a52-8f6e-4f0c-9f0e-5a3f0d1c2b3a";

TEST(PodCgroups, NamesOfBothDriversHoldTheUid) {
  const std::string uid = kUid;
  std::string underscores = uid;
  std::replace(underscores.begin(), underscores.end(), '-', '_');
  EXPECT_EQ(PodUidOf("pod" + uid), uid);
  EXPECT_EQ(PodUidOf("kubepods-pod" + underscores + ".slice"), uid);
  EXPECT_EQ(PodUidOf("kubepods-burstable-pod" + underscores + ".slice"), uid);
  EXPECT_EQ(PodUidOf("kubepods-besteffort-pod" + underscores + ".slice"), uid);
  EXPECT_EQ(PodUidOf("kubelet-kubepods-burstable-pod" + underscores + ".slice"), uid);
  EXPECT_EQ(PodUidOf("pod9a1b2c3d4e5f60718293a4b5c6d7e8f9"), "9a1b2c3d4e5f60718293a4b5c6d7e8f9") << "a static pod's";
}

TEST(PodCgroups, OtherNamesAreNoPods) {
  for (const char* name :
       {"", "pod", "pod/x", "burstable", "kubepods", "kubepods.slice", "kubepods-burstable.slice", "kubepods-pod.slice",
        "machine-pod1.slice", "user-kubepods-x-pod1.slice", "libpod_pod_1.slice", "pod1.slice", "cpu.max", "podüx"}) {
    EXPECT_EQ(PodUidOf(name), std::nullopt) << name;
  }
}

class PodCgroupTree : public ::testing::Test {
 protected:
  PodCgroupTree() {
    std::string name = std::filesystem::temp_directory_path() / "sluice-cgroups-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~PodCgroupTree() override { std::filesystem::remove_all(directory_); }

  std::string Make(const std::string& path) {
    std::filesystem::create_directories(directory_ + "/" + path);
    return directory_ + "/" + path;
  }
  // "UID PATH" of each.
  std::vector<std::string> Find(const std::vector<std::string>& roots) {
    std::vector<std::string> lines;
    const auto found = FindPodCgroups(roots);
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok()) return lines;
    for (const PodCgroup& pod : *found) {
      EXPECT_TRUE(std::filesystem::is_directory(pod.directory)) << pod.directory;
      lines.push_back(pod.uid + " " + pod.path);
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  std::string directory_;
};

TEST_F(PodCgroupTree, PodsOfEachClassAndDriver) {
  Make("v1/kubepods/poda/c1");
  Make("v1/kubepods/burstable/podb");
  Make("v1/kubepods/besteffort/podc");
  Make("v1/system.slice/pod-of-nobody");
  EXPECT_THAT(Find({directory_ + "/v1"}),
              ElementsAre("a /kubepods/poda", "b /kubepods/burstable/podb", "c /kubepods/besteffort/podc"));

  Make("v2/kubepods.slice/kubepods-poda_1.slice");
  Make("v2/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podb_1.slice");
  Make("v2/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podc_1.slice");
  EXPECT_THAT(Find({directory_ + "/v2"}),
              ElementsAre("a-1 /kubepods.slice/kubepods-poda_1.slice",
                          "b-1 /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podb_1.slice",
                          "c-1 /kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podc_1.slice"));
}

TEST_F(PodCgroupTree, BelowARootOfTheKubelets) {
  Make("v1/kubelet/kubepods/besteffort/poda");
  EXPECT_THAT(Find({directory_ + "/v1"}), ElementsAre("a /kubelet/kubepods/besteffort/poda"));
  Make(
      "v2/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
      "kubelet-kubepods-burstable-podb.slice");
  EXPECT_THAT(Find({directory_ + "/v2"}), ElementsAre(HasSubstr("b /kubelet.slice/kubelet-kubepods.slice/")));
}

// As of a cluster whose nodes are containers of this machine.
TEST_F(PodCgroupTree, AKubeletInsideAContainerIsNotThisNodes) {
  Make("v2/system.slice/docker-1.scope/kubelet/kubepods/burstable/poda");
  EXPECT_TRUE(absl::IsNotFound(FindPodCgroups({directory_ + "/v2"}).status()));
  Make("v2/kubepods/podb");
  EXPECT_THAT(Find({directory_ + "/v2"}), ElementsAre("b /kubepods/podb"));
}

// On machines with both versions the kubelet uses one of them.
TEST_F(PodCgroupTree, TheFirstHierarchyWithPodsCounts) {
  Make("unified/system.slice");
  Make("pids/kubepods/burstable/poda");
  Make("cpu/kubepods/burstable/poda");
  EXPECT_THAT(Find({directory_ + "/unified", directory_ + "/pids", directory_ + "/cpu"}),
              ElementsAre("a /kubepods/burstable/poda"));
}

TEST_F(PodCgroupTree, WithoutAKubeletNothingIsSaid) {
  Make("v2/system.slice");
  const auto found = FindPodCgroups({directory_ + "/v2", directory_ + "/none"});
  EXPECT_TRUE(absl::IsNotFound(found.status())) << found.status();
  EXPECT_THAT(Message(found.status()), HasSubstr(directory_ + "/v2"));
  EXPECT_TRUE(absl::IsNotFound(FindPodCgroups({}).status()));
  Make("v2/kubepods/burstable");
  EXPECT_THAT(Find({directory_ + "/v2"}), IsEmpty()) << "a kubelet without pods";
}

TEST(PodCgroups, RootsAreThoseOfTheMachine) {
  for (const std::string& root : MountedCgroupRoots()) {
    EXPECT_TRUE(std::filesystem::exists(root + "/cgroup.procs")) << root;
  }
}

}  // namespace
}  // namespace sluice::node
