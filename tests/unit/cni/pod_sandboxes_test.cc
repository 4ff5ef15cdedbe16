#include "ctrl/pods/pod_sandboxes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/cni/plugin_process.h"

namespace sluice::pods {
namespace {

using namespace std::chrono_literals;
using node::Sandbox;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Sandbox Of(const std::string& pod, const std::string& id, const std::string& cgroup = "") {
  return {.pod = {"shop", pod}, .uid = "uid-" + pod, .id = id, .netns = "/run/netns/" + id, .cgroup = cgroup};
}

class PodSandboxesTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }

  void Restart() {
    sandboxes_.reset();
    auto opened = PodSandboxes::Open(directory_.path(), [this] { return now_; });
    ASSERT_TRUE(opened.ok()) << opened.status();
    sandboxes_ = *std::move(opened);
  }
  void Add(const Sandbox& sandbox, const std::string& network = "net") {
    const Status added = sandboxes_->Add({sandbox, network});
    ASSERT_TRUE(added.ok()) << added;
  }
  void List(const std::vector<Sandbox>& listed) { sandboxes_->SetListed(listed, now_); }
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const Sandbox& sandbox : sandboxes_->All()) ids.push_back(sandbox.id);
    return ids;
  }

  PodSandboxes::Time now_{1'000'000};
  test::ScratchDirectory directory_;
  std::unique_ptr<PodSandboxes> sandboxes_;
};

TEST_F(PodSandboxesTest, OneThatThePluginToldOfStaysUntilDel) {
  Add(Of("web-0", "a"));
  EXPECT_THAT(sandboxes_->All(), ElementsAre(Of("web-0", "a")));
  EXPECT_TRUE(sandboxes_->Knows({"a", "eth0"}));
  EXPECT_FALSE(sandboxes_->Knows({"a", "net1"}));
  List({});
  now_ += 59s;
  List({});
  EXPECT_THAT(Ids(), ElementsAre("a")) << "a runtime lists a sandbox only once it is ready";
  EXPECT_TRUE(sandboxes_->Remove({"a", "eth0"}).ok());
  EXPECT_THAT(Ids(), IsEmpty());
  EXPECT_TRUE(sandboxes_->Remove({"a", "eth0"}).ok()) << "twice";
}

TEST_F(PodSandboxesTest, TheirFilesCanBeRemoved) {
  Add(Of("web-0", "a"));
  sandboxes_.reset();
  EXPECT_FALSE(std::filesystem::is_empty(directory_.path()));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(PodSandboxes::RemoveFiles(directory_.path()).ok()) << "the second finds none";
  EXPECT_FALSE(std::filesystem::exists(directory_.path()));
}

TEST_F(PodSandboxesTest, TwoListsAMinuteLaterThatLackItEndIt) {
  Add(Of("web-0", "a"));
  now_ += 60s;
  List({});
  EXPECT_THAT(Ids(), ElementsAre("a"));
  now_ += 1s;
  List({Of("web-0", "a")});
  List({});
  EXPECT_THAT(Ids(), IsEmpty()) << "it was listed, and is not any more";
  Add(Of("web-1", "b"));
  now_ += 60s;
  List({});
  List({});
  EXPECT_THAT(Ids(), IsEmpty());
}

// A runtime on a busy node took 90 s until it listed a sandbox.
TEST_F(PodSandboxesTest, OneWhoseNamespaceIsThereStaysHoweverLongTheRuntimeTakes) {
  Sandbox slow = Of("web-0", "a");
  slow.netns = directory_.path() + "/netns";
  std::ofstream(slow.netns) << "";
  Add(slow);
  for (int i = 0; i < 5; ++i) {
    now_ += 61s;
    List({});
  }
  EXPECT_THAT(Ids(), ElementsAre("a"));
  std::filesystem::remove(slow.netns);
  List({});
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(PodSandboxesTest, ANewerListIsTheTruth) {
  Add(Of("web-0", "a"));
  now_ += 1s;
  List({Of("web-0", "a", "/kubepods/a"), Of("db-0", "b", "/kubepods/b")});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(Of("web-0", "a", "/kubepods/a"), Of("db-0", "b", "/kubepods/b")));
  now_ += 1s;
  List({Of("db-0", "b", "/kubepods/b")});
  EXPECT_THAT(Ids(), ElementsAre("b"));
}

TEST_F(PodSandboxesTest, AListFromBeforeDelBringsNothingBack) {
  Add(Of("web-0", "a"));
  const auto begun = now_;
  now_ += 10ms;
  EXPECT_TRUE(sandboxes_->Remove({"a", "eth0"}).ok());
  sandboxes_->SetListed({Of("web-0", "a"), Of("db-0", "b")}, begun);
  EXPECT_THAT(Ids(), ElementsAre("b"));
  now_ += 1s;
  List({Of("web-0", "a"), Of("db-0", "b")});
  EXPECT_THAT(Ids(), ElementsAre("a", "b")) << "the runtime says so after DEL";
}

TEST_F(PodSandboxesTest, AListFromBeforeAddKnowsLess) {
  const auto begun = now_;
  now_ += 10ms;
  Add(Of("web-0", "a"));
  sandboxes_->SetListed({}, begun);
  sandboxes_->SetListed({}, begun);
  EXPECT_THAT(Ids(), ElementsAre("a"));
}

TEST_F(PodSandboxesTest, AnOlderListThatComesLateIsNotTaken) {
  now_ += 1s;
  List({Of("web-0", "a")});
  sandboxes_->SetListed({}, now_ - 500ms);
  EXPECT_THAT(Ids(), ElementsAre("a"));
}

TEST_F(PodSandboxesTest, TheNewestOfAPodIsLast) {
  Add(Of("web-0", "old"));
  Add(Of("web-0", "new"));
  now_ += 1s;
  EXPECT_THAT(Ids(), ElementsAre("old", "new"));
  List({Of("db-0", "b"), Of("web-0", "new")});
  EXPECT_THAT(Ids(), ElementsAre("b", "old", "new")) << "the old one was not listed yet, and is older all the same";
  Add(Of("web-0", "newer"));
  EXPECT_EQ(Ids().back(), "newer");
}

TEST_F(PodSandboxesTest, AnotherInterfaceOfAPodIsOneMore) {
  Sandbox second = Of("web-0", "a");
  second.interface = "net1";
  Add(Of("web-0", "a"), "net");
  Add(second, "storage");
  now_ += 61s;
  List({Of("web-0", "a")});
  List({Of("web-0", "a")});
  EXPECT_THAT(sandboxes_->All(), UnorderedElementsAre(Of("web-0", "a"), second));
  EXPECT_TRUE(sandboxes_->Remove({"a", "net1"}).ok());
  EXPECT_THAT(sandboxes_->All(), ElementsAre(Of("web-0", "a")));
}

TEST_F(PodSandboxesTest, GcIsOfItsNetworkAlone) {
  Add(Of("web-0", "a"), "net");
  Add(Of("web-1", "b"), "net");
  Add(Of("web-2", "c"), "other");
  EXPECT_TRUE(sandboxes_->KeepOnly("net", {{"a", "eth0"}, {"b", "eth1"}}).ok());
  EXPECT_THAT(Ids(), UnorderedElementsAre("a", "c"));
}

TEST_F(PodSandboxesTest, ARestartedAgentKnowsThemBeforeTheRuntimeAnswers) {
  Add(Of("web-0", "a"));
  now_ += 1s;
  List({Of("db-0", "b", "/kubepods/b")});
  Restart();
  EXPECT_THAT(sandboxes_->All(), ElementsAre(Of("db-0", "b", "/kubepods/b"), Of("web-0", "a")));
  now_ += 60s;
  List({});
  EXPECT_THAT(Ids(), ElementsAre("a")) << "its age is known too";
  List({});
  EXPECT_THAT(Ids(), IsEmpty());
  EXPECT_TRUE(sandboxes_->Remove({"b", "eth0"}).ok());
  Restart();
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(PodSandboxesTest, WhatIsOfAnotherBootOrDamagedCountsAsNothing) {
  Add(Of("web-0", "a"));
  std::string text = directory_.Read("sandboxes.json");
  const std::size_t boot = text.find("\"boot\":\"") + 8;
  directory_.Write("sandboxes.json", text.substr(0, boot) + "x" + text.substr(boot + 1));
  Restart();
  EXPECT_THAT(Ids(), IsEmpty());
  for (const std::string& damaged : {text.substr(0, text.size() / 2), std::string("[]"), std::string(),
                                     std::string(R"({"format":2})"), std::string(1 << 16, '[')}) {
    directory_.Write("sandboxes.json", damaged);
    Restart();
    EXPECT_THAT(Ids(), IsEmpty());
  }
  Add(Of("web-1", "b"));
  Restart();
  EXPECT_THAT(Ids(), ElementsAre("b"));
}

// What PodFinder finds, with files for network namespaces.
class FoundSandboxesTest : public PodSandboxesTest {
 protected:
  std::string MakeNetNs(const std::string& name) const {
    directory_.Write(name, "");
    return directory_.path(name);
  }
  // Of PodFinder, which knows neither the pod nor the sandbox's id.
  static Sandbox Found(const std::string& pod, const std::string& netns) {
    struct stat facts {};
    EXPECT_EQ(::stat(netns.c_str(), &facts), 0);
    return {.pod = {},
            .uid = "uid-" + pod,
            .id = std::to_string(facts.st_ino),
            .netns = netns,
            .cgroup = "/kubepods/pod" + pod};
  }
  void Find(const std::vector<Sandbox>& found) {
    now_ += 1s;
    sandboxes_->SetFound(found, now_);
  }
};

TEST_F(FoundSandboxesTest, OneThatIsNewIsAdded) {
  const Sandbox web = Found("web-0", MakeNetNs("a"));
  const Sandbox db = Found("db-0", MakeNetNs("b"));
  Find({web, db});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(web, db));
  Find({web, db});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(web, db));
  Restart();
  EXPECT_THAT(sandboxes_->All(), ElementsAre(web, db));
}

TEST_F(FoundSandboxesTest, ANamespaceIsThePodsThatWasThereFirst) {
  const Sandbox web = Found("web-0", MakeNetNs("a"));
  Find({web, Found("visitor", directory_.path("a"))});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(web));
}

TEST_F(FoundSandboxesTest, TheSandboxThatThePluginToldOfIsTheSame) {
  Sandbox told = Of("web-0", "a");
  told.netns = MakeNetNs("a");
  told.uid.clear();  // runtimes before 1.23 of Kubernetes do not say it
  Add(told);
  std::filesystem::create_hard_link(told.netns, directory_.path("other-path"));
  Find({Found("web-0", directory_.path("other-path"))});
  told.uid = "uid-web-0";
  told.cgroup = "/kubepods/podweb-0";
  EXPECT_THAT(sandboxes_->All(), ElementsAre(told)) << "with what only the search knows";
}

TEST_F(FoundSandboxesTest, OneThatThePluginTellsOfLaterIsTheSameToo) {
  Sandbox told = Of("web-0", "a");
  told.netns = MakeNetNs("a");
  const Sandbox db = Found("db-0", MakeNetNs("b"));
  Find({Found("web-0", told.netns), db});
  Add(told);
  EXPECT_THAT(sandboxes_->All(), ElementsAre(db, told)) << "at once: the pod has one Workload";
  Find({Found("web-0", told.netns), db});
  EXPECT_THAT(Ids(), ElementsAre(db.id, "a"));
}

TEST_F(FoundSandboxesTest, WithoutAProcessASandboxStaysWhileItsNamespaceIsThere) {
  Sandbox told = Of("web-0", "a"), listed = Of("db-0", "b");
  told.netns = MakeNetNs("a");
  listed.netns = MakeNetNs("b");
  Add(told);
  now_ += 1s;
  List({listed, told});
  Restart();
  const Sandbox found = Found("new", MakeNetNs("c"));
  for (int i = 0; i < 3; ++i) Find({found});
  Find({});
  EXPECT_THAT(Ids(), UnorderedElementsAre("a", "b", found.id));
  for (const char* netns : {"a", "b", "c"}) std::filesystem::remove(directory_.path(netns));
  Find({});
  Find({});
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(FoundSandboxesTest, AnotherProcessOfTheNamespaceLeadsToTheSameSandbox) {
  Sandbox own = Found("web-0", "/proc/self/ns/net");
  Find({own});
  Sandbox other = own;
  other.netns = "/proc/" + std::to_string(getpid()) + "/ns/net";
  Find({other});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(own));
  own.id = "1";  // as if the path had become that of a process in another namespace
  Restart();
  std::filesystem::remove(directory_.path("sandboxes.json"));
  Restart();
  Find({own});
  Find({other});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(other));
}

TEST_F(FoundSandboxesTest, ARuntimeThatAnswersKnowsMoreOfThem) {
  const Sandbox other = Found("other", MakeNetNs("c"));
  Find({Found("web-0", MakeNetNs("a")), Found("db-0", MakeNetNs("b")), other});
  now_ += 1s;
  Sandbox db = Of("db", "b");  // the search took another process for the pod's
  db.netns = directory_.path("b");
  List({Of("web-0", "a"), db});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(other, Of("web-0", "a"), db)) << "by the uid, and by the namespace";
  std::filesystem::remove(other.netns);
  List({Of("web-0", "a"), db});
  EXPECT_THAT(sandboxes_->All(), ElementsAre(Of("web-0", "a"), db));
}

// Its first process was killed: the runtime calls it not ready, and the others of the pod go on.
TEST_F(FoundSandboxesTest, OneThatIsNotReadyAnyMoreStaysWhileItsNamespaceIsThere) {
  Sandbox told = Of("web-0", "a", "/kubepods/a"), listed = Of("db-0", "b", "/kubepods/b");
  told.netns = MakeNetNs("a");
  listed.netns = MakeNetNs("b");
  Add(told);
  now_ += 1s;
  List({listed, told});
  Sandbox next = Of("db-0", "c");
  next.netns = MakeNetNs("c");
  for (int i = 0; i < 3; ++i) {
    now_ += 61s;
    List({next});
    EXPECT_THAT(sandboxes_->All(), ElementsAre(listed, told, next));
  }
  Restart();
  EXPECT_THAT(sandboxes_->All(), ElementsAre(listed, told, next));
  EXPECT_TRUE(sandboxes_->Remove({"b", "eth0"}).ok());
  EXPECT_THAT(Ids(), ElementsAre("a", "c")) << "DEL ends it at once";
  std::filesystem::remove(told.netns);
  now_ += 1s;
  List({next});
  EXPECT_THAT(Ids(), ElementsAre("c"));
}

TEST_F(PodSandboxesTest, ThereIsALimit) {
  for (std::size_t i = 0; i < 8; ++i) Add(Of("web", "id" + std::to_string(i)));
  // The file is written at each ADD: the rest comes from it.
  std::string text = directory_.Read("sandboxes.json");
  const std::size_t list = text.find("\"told\":[") + 8;
  std::string many;
  for (std::size_t i = 0; i < PodSandboxes::kMaxTold - 8; ++i) {
    many += R"({"namespace":"shop","name":"p","id":"m)" + std::to_string(i) + R"(","interface":"eth0"},)";
  }
  directory_.Write("sandboxes.json", text.insert(list, many));
  Restart();
  EXPECT_EQ(Ids().size(), PodSandboxes::kMaxTold);
  EXPECT_EQ(sandboxes_->Add({Of("web", "more"), "net"}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(sandboxes_->Remove({"id0", "eth0"}).ok());
  EXPECT_TRUE(sandboxes_->Add({Of("web", "more"), "net"}).ok());
}

TEST_F(PodSandboxesTest, AFileThatCannotBeWrittenIsReported) {
  std::filesystem::remove_all(directory_.path());
  EXPECT_FALSE(sandboxes_->Add({Of("web-0", "a"), "net"}).ok());
  EXPECT_THAT(Ids(), ElementsAre("a")) << "and the pod is known all the same";
  EXPECT_FALSE(PodSandboxes::Open(directory_.path()).ok());
}

}  // namespace
}  // namespace sluice::pods
