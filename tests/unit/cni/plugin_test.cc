// sluice-cni as runtimes call it: the real program against the real server, in real network namespaces.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "api/cni.h"
#include "kernel/net/netlink.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"
#include "tests/unit/cni/fake_agent.h"
#include "tests/unit/cni/plugin_process.h"

namespace sluice::cni {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::PluginRun;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Variables = std::map<std::string, std::string>;

constexpr const char* kVersions[] = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
constexpr const char* kArgs =
    "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=4f5e;K8S_POD_UID=u1";

// Without a pod: what is refused before anything is looked at, and what needs none.
class Plugin : public ::testing::Test {
 protected:
  void StartAgent(std::function<Status(const Request&)> open = {}) {
    const Status started = agent_.Start(
        {.socket = directory_.path("cni.sock"), .directory = directory_.path("left"), .spool_interval = 20ms}, open);
    ASSERT_TRUE(started.ok()) << started;
  }

  json Config(const std::string& version = "1.1.0") const {
    return {{"cniVersion", version},
            {"name", "cbr0"},
            {"type", "sluice-cni"},
            {"socket", directory_.path("cni.sock")},
            {"directory", directory_.path("left")},
            {"timeout", 0.3},
            {"prevResult", PrevResult(version)}};
  }
  static json PrevResult(const std::string& version) {
    json result = {{"cniVersion", version},
                   {"interfaces",
                    {{{"name", "veth1"}, {"mac", "02:00:00:00:00:01"}},
                     {{"name", "eth0"}, {"mac", "02:00:00:00:00:02"}, {"sandbox", "/run/netns/x"}}}},
                   {"ips",
                    {{{"address", "10.1.0.2/24"}, {"gateway", "10.1.0.1"}, {"interface", 1}},
                     {{"address", "fd00:1::2/64"}, {"interface", 1}}}},
                   {"routes", {{{"dst", "0.0.0.0/0"}}}},
                   {"dns", json::object()},
                   {"org.example/unknown", 7}};
    if (version < std::string("1")) {
      result["ips"][0]["version"] = "4";
      result["ips"][1]["version"] = "6";
    }
    if (version == "1.1.0") result["interfaces"][1]["mtu"] = 1450;
    return result;
  }
  Variables Environment(const std::string& command) const {
    return {{"CNI_COMMAND", command}, {"CNI_CONTAINERID", "4f5e"}, {"CNI_NETNS", netns_},
            {"CNI_IFNAME", "eth0"},   {"CNI_ARGS", kArgs},         {"CNI_PATH", "/opt/cni/bin"}};
  }
  virtual PluginRun Run(const Variables& environment, const std::string& input) const {
    return test::RunPluginProcess(environment, input);
  }
  PluginRun Run(const std::string& command, const json& config) const {
    return Run(Environment(command), config.dump());
  }
  // Of the printed error; 0: it exited with 0.
  static int Code(const PluginRun& run) {
    if (run.exit_code == 0) return 0;
    const json error = json::parse(run.out, nullptr, false);
    EXPECT_TRUE(error.is_object() && error.contains("cniVersion") && error.contains("msg")) << run.out << run.err;
    EXPECT_EQ(run.exit_code, 1);
    return error.is_object() ? error.value("code", -1) : -1;
  }

  test::ScratchDirectory directory_;
  test::FakeAgent agent_;
  std::string netns_ = "/run/netns/no-such";
};

TEST_F(Plugin, TellsItsVersions) {
  for (const char* version : kVersions) {
    const auto run = Run({{"CNI_COMMAND", "VERSION"}}, json{{"cniVersion", version}}.dump());
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(json::parse(run.out), (json{{"cniVersion", version}, {"supportedVersions", kVersions}}));
  }
  for (const char* input : {"", "{}", "no JSON", R"({"cniVersion":"9.9.9"})"}) {
    const auto run = Run({{"CNI_COMMAND", "VERSION"}}, input);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(json::parse(run.out)["cniVersion"], "1.1.0");
  }
}

TEST_F(Plugin, StartsFast) {
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i) ASSERT_EQ(Run({{"CNI_COMMAND", "VERSION"}}, "{}").exit_code, 0);
  const auto each = (std::chrono::steady_clock::now() - begun) / 200;
  printf("one VERSION, as a process, with the files of its input and output: %.2f ms\n",
         std::chrono::duration<double, std::milli>(each).count());
}

TEST_F(Plugin, RefusesVersionsThatItDoesNotKnow) {
  for (const char* version : {"0.1.0", "0.2.0", "0.3.0", "1.2.0", "2.0.0", ""}) {
    json config = Config();
    config["cniVersion"] = version;
    const auto run = Run("ADD", config);
    EXPECT_EQ(Code(run), kIncompatibleVersion) << version;
    EXPECT_THAT(run.out, HasSubstr("0.3.1, 0.4.0, 1.0.0, 1.1.0"));
  }
  json without = Config();
  without.erase("cniVersion");
  EXPECT_EQ(Code(Run("ADD", without)), kIncompatibleVersion);
  EXPECT_EQ(Code(Run("CHECK", Config("0.3.1"))), kIncompatibleVersion);
  EXPECT_EQ(Code(Run("GC", Config("1.0.0"))), kIncompatibleVersion);
  EXPECT_EQ(Code(Run("STATUS", Config("0.4.0"))), kIncompatibleVersion);
}

TEST_F(Plugin, NamesWhatIsWrongInTheEnvironment) {
  struct Case {
    const char* command;
    const char* name;
    const char* value;  // null: not set
    const char* expected;
  };
  for (const Case& one : std::vector<Case>{{"ADD", "CNI_CONTAINERID", nullptr, "CNI_CONTAINERID"},
                                           {"ADD", "CNI_NETNS", nullptr, "CNI_NETNS"},
                                           {"ADD", "CNI_NETNS", "", "CNI_NETNS"},
                                           {"ADD", "CNI_IFNAME", nullptr, "CNI_IFNAME"},
                                           {"ADD", "CNI_CONTAINERID", "../../etc", "CNI_CONTAINERID"},
                                           {"ADD", "CNI_IFNAME", "a/b", "CNI_IFNAME"},
                                           {"ADD", "CNI_IFNAME", "longer-than-it-may", "CNI_IFNAME"},
                                           {"ADD", "CNI_ARGS", "K8S_POD_NAMESPACE", "KEY=VALUE"},
                                           {"ADD", "CNI_ARGS", "K8S_POD_NAMESPACE=shop", "K8S_POD_NAME"},
                                           {"ADD", "CNI_ARGS", nullptr, "K8S_POD_NAMESPACE"},
                                           {"CHECK", "CNI_NETNS", nullptr, "CNI_NETNS"},
                                           {"DEL", "CNI_CONTAINERID", nullptr, "CNI_CONTAINERID"},
                                           {"DEL", "CNI_IFNAME", nullptr, "CNI_IFNAME"},
                                           {"ADD", "CNI_COMMAND", "add", "CNI_COMMAND"},
                                           {"ADD", "CNI_COMMAND", nullptr, "CNI_COMMAND"}}) {
    Variables environment = Environment(one.command);
    environment.erase(one.name);
    if (one.value != nullptr) environment[one.name] = one.value;
    const auto run = Run(environment, Config().dump());
    EXPECT_EQ(Code(run), kBadEnvironment) << one.command << " " << one.name << run.out;
    EXPECT_THAT(run.out, HasSubstr(one.expected));
  }
}

TEST_F(Plugin, NamesWhatIsWrongInTheConfiguration) {
  for (const char* input : {"", "{", "[]", "\"x\"", "\xff\xfe"}) {
    EXPECT_EQ(Code(Run(Environment("ADD"), input)), kNotDecoded) << input;
  }
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{{"socket", "relative"},
                                                                            {"socket", 7},
                                                                            {"socket", "/" + std::string(200, 'x')},
                                                                            {"timeout", "20"},
                                                                            {"timeout", 0},
                                                                            {"timeout", -1},
                                                                            {"timeout", 1e9},
                                                                            {"whenAgentAway", "open"},
                                                                            {"whenAgentAway", true},
                                                                            {"directory", ""},
                                                                            {"log", "log"},
                                                                            {"name", ""},
                                                                            {"prevResult", 7}}) {
    json config = Config();
    config[key] = value;
    const auto run = Run("ADD", config);
    EXPECT_EQ(Code(run), kBadConfig) << key << " " << value;
    EXPECT_THAT(run.out, HasSubstr(key));
  }
}

TEST_F(Plugin, NeedsTheResultOfAnother) {
  for (const char* command : {"ADD", "CHECK"}) {
    json config = Config();
    config.erase("prevResult");
    const auto run = Run(command, config);
    EXPECT_EQ(Code(run), kBadConfig);
    EXPECT_THAT(run.out, HasSubstr("prevResult"));
    EXPECT_THAT(run.out, HasSubstr("sluice-cni install"));
    config["prevResult"] = nullptr;
    EXPECT_EQ(Code(Run(command, config)), kBadConfig);
  }
}

TEST_F(Plugin, DelSucceedsInEachForm) {
  const auto deleted = [&] { return directory_.List("left/deleted"); };
  json config = Config();
  const auto run = Run("DEL", config);
  EXPECT_EQ(Code(run), 0);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("does not answer"));
  EXPECT_THAT(deleted(), ElementsAre("4f5e@eth0"));
  EXPECT_EQ(Code(Run("DEL", config)), 0) << "twice";

  Variables empty = Environment("DEL");
  empty["CNI_NETNS"] = "";
  EXPECT_EQ(Code(Run(empty, config.dump())), 0);
  empty.erase("CNI_NETNS");
  empty.erase("CNI_ARGS");
  config.erase("prevResult");
  EXPECT_EQ(Code(Run(empty, config.dump())), 0);
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{
           {"timeout", "x"}, {"whenAgentAway", 7}, {"prevResult", "x"}, {"name", ""}}) {
    json wrong = config;
    wrong[key] = value;
    EXPECT_EQ(Code(Run("DEL", wrong)), 0) << key;
  }
  Variables args = Environment("DEL");
  args["CNI_ARGS"] = "nonsense";
  EXPECT_EQ(Code(Run(args, config.dump())), 0);
  for (const char* version : kVersions) EXPECT_EQ(Code(Run("DEL", Config(version))), 0);
  config["directory"] = "/proc/no-such";
  const auto nowhere = Run("DEL", config);
  EXPECT_EQ(Code(nowhere), 0);
  EXPECT_THAT(nowhere.err, HasSubstr("could not be left"));

  StartAgent();
  for (int i = 0; i < 500 && !deleted().empty(); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_THAT(deleted(), IsEmpty());
  EXPECT_THAT(agent_.said(), ElementsAre("DEL 4f5e eth0"));
  EXPECT_EQ(Code(Run("DEL", Config())), 0);
  EXPECT_THAT(agent_.said(), ElementsAre("DEL 4f5e eth0", "DEL 4f5e eth0"));
  agent_.Answer("DEL", absl::InternalError("not now"));
  EXPECT_EQ(Code(Run("DEL", Config())), 0);
  EXPECT_THAT(deleted(), ElementsAre("4f5e@eth0")) << "an agent that failed tries again";
}

TEST_F(Plugin, DeletionsAreBounded) {
  for (std::size_t i = 0; i < kMaxFiles; ++i) directory_.Write("left/deleted/id" + std::to_string(i) + "@eth0", "");
  const auto run = Run("DEL", Config());
  EXPECT_EQ(Code(run), 0);
  EXPECT_THAT(run.err, HasSubstr("4096 files already"));
  EXPECT_EQ(directory_.List("left/deleted").size(), kMaxFiles);
}

TEST_F(Plugin, GcSaysWhatIsStillThere) {
  json config = Config();
  EXPECT_EQ(Code(Run("GC", config)), kBadConfig) << "without the list nothing is removed";
  config["cni.dev/valid-attachments"] = {{{"containerID", "4f5e"}, {"ifname", "eth0"}},
                                         {{"containerID", "5a"}, {"ifname", "net1"}}};
  EXPECT_EQ(Code(Run("GC", config)), kTryAgain) << "there is no agent";
  Request add{.command = Command::kAdd, .network = "cbr0", .netns = "/n", .pod_namespace = "s", .pod_name = "p"};
  for (const char* id : {"4f5e", "gone"}) {
    add.attachment = {id, "eth0"};
    directory_.Write(std::string("left/pending/") + id + "@eth0", ToJson(add));
  }
  add.network = "other";
  add.attachment = {"others", "eth0"};
  directory_.Write("left/pending/others@eth0", ToJson(add));
  EXPECT_EQ(Code(Run("GC", config)), kTryAgain);
  EXPECT_THAT(directory_.List("left/pending"), ElementsAre("4f5e@eth0", "others@eth0"));
  std::filesystem::remove_all(directory_.path("left"));
  StartAgent();
  const auto run = Run("GC", config);
  EXPECT_EQ(Code(run), 0) << run.out;
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(agent_.said(), ElementsAre("GC cbr0 4f5e@eth0 5a@net1"));
  agent_.Answer("GC", absl::InternalError("x"));
  EXPECT_EQ(Code(Run("GC", config)), kNotEnforced);
  config["cni.dev/valid-attachments"] = {{{"containerID", "4f5e"}}};
  EXPECT_EQ(Code(Run("GC", config)), kBadConfig);
}

TEST_F(Plugin, StatusIsTheAgents) {
  json config = Config();
  config.erase("prevResult");
  auto run = Run("STATUS", config);
  EXPECT_EQ(Code(run), kNotAvailable);
  EXPECT_THAT(run.out, HasSubstr("does not answer at " + directory_.path("cni.sock")));
  json closed = config;
  closed["whenAgentAway"] = "closed";
  EXPECT_EQ(Code(Run("STATUS", closed)), kLimitedConnectivity);
  StartAgent();
  EXPECT_EQ(Code(Run("STATUS", config)), 0);
  agent_.SetHealth({pods::CniHealth::kNotReady, "the API server has not answered"});
  run = Run("STATUS", config);
  EXPECT_EQ(Code(run), kNotAvailable);
  EXPECT_THAT(run.out, HasSubstr("the API server has not answered"));
  agent_.SetHealth({pods::CniHealth::kHolding, "the state is lost"});
  EXPECT_EQ(Code(Run("STATUS", config)), kLimitedConnectivity);
}

// With a pod that another plugin has wired.
class PluginWithPod : public Plugin {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    auto node = test::TestNode::Create({.pods = {"web"}});
    ASSERT_TRUE(node.ok()) << node.status();
    node_ = *std::move(node);
    netns_ = web().netns_path;
  }

  const test::TestPod& web() const { return node_->pod("web"); }
  using Plugin::Run;
  PluginRun Run(const Variables& environment, const std::string& input) const override {
    PluginRun run;
    const Status ran = node_->Run([&] {
      run = test::RunPluginProcess(environment, input);
      return OkStatus();
    });
    EXPECT_TRUE(ran.ok()) << ran;
    return run;
  }
  // One echo from the pod to the node, and one back.
  bool PodReaches() const {
    const auto ping = node_->RunCommandIn(web(), {"ping", "-c1", "-W1", node_->ip4()});
    return ping.ok() && ping->exit_code == 0;
  }
  bool PodIsReached() const {
    bool reached = false;
    (void)node_->Run([&] {
      const auto ping = test::RunCommand({"ping", "-c1", "-W1", web().ip4});
      reached = ping.ok() && ping->exit_code == 0;
      return OkStatus();
    });
    return reached;
  }
  // What the agent does to open an interface.
  Status Open(const Request& add) const {
    return node_->Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(auto here, net::Netlink::Open());
      for (const auto side : {net::TcSide::kIngress, net::TcSide::kEgress}) {
        SL_RETURN_IF_ERROR(here.DeleteTcFilter(
            add.host_ifindex, side, {.kind = "bpf", .handle = kClosingHandle, .priority = kClosingPriority}));
      }
      return OkStatus();
    });
  }
  std::string Routes() const {
    std::string text;
    (void)node_->Run([&]() -> Status {
      for (const char* family : {"-4", "-6"}) {
        SL_ASSIGN_OR_RETURN(const auto routes, test::RunCommand({"ip", family, "route", "show", "table", "all"}));
        text += routes.output;
      }
      return OkStatus();
    });
    return text;
  }

  std::unique_ptr<test::TestNode> node_;
};

TEST_F(PluginWithPod, AddGivesTheResultBackInEachVersion) {
  StartAgent();
  for (const char* version : kVersions) {
    const auto run = Run("ADD", Config(version));
    ASSERT_EQ(Code(run), 0) << run.out << run.err;
    EXPECT_EQ(json::parse(run.out), PrevResult(version)) << version;
  }
  EXPECT_EQ(agent_.said().size(), 4U);
  EXPECT_THAT(agent_.said(), Contains("ADD shop/web-0 4f5e eth0"));
  EXPECT_EQ(agent_.last().sandbox,
            (node::Sandbox{.pod = {"shop", "web-0"}, .uid = "u1", .id = "4f5e", .netns = netns_}));
  EXPECT_EQ(agent_.last().network, "cbr0");
}

TEST_F(PluginWithPod, ResultsOfOtherVersionsAreConverted) {
  StartAgent();
  for (const char* from : kVersions) {
    for (const char* to : kVersions) {
      json config = Config(to);
      config["prevResult"] = PrevResult(from);
      const auto run = Run("ADD", config);
      ASSERT_EQ(Code(run), 0) << run.out;
      json expected = PrevResult(to);
      if (from != std::string("1.1.0")) expected["interfaces"][1].erase("mtu");
      EXPECT_EQ(json::parse(run.out), expected) << from << " as " << to;
    }
  }
}

TEST_F(PluginWithPod, ResultsWithoutInterfacesOrAddressesWillDo) {
  StartAgent();
  for (const char* result : {"{}", R"({"ips":[]})", R"({"ips":[{"address":"10.1.0.2/24"}]})",
                             R"({"interfaces":[{"name":"cali1"}],"ips":[{"address":"10.1.0.2/32","interface":9}]})",
                             R"({"interfaces":7,"ips":"x","routes":[1]})"}) {
    json config = Config();
    config["prevResult"] = json::parse(result);
    const auto run = Run("ADD", config);
    EXPECT_EQ(Code(run), 0) << run.out;
  }
}

TEST_F(PluginWithPod, TheAgentsAnswerIsTheAnswer) {
  StartAgent();
  agent_.Answer("ADD", absl::FailedPreconditionError("shop/web-0: two programs of others are in the way"));
  auto run = Run("ADD", Config());
  EXPECT_EQ(Code(run), kNotEnforced);
  EXPECT_THAT(run.out, HasSubstr("two programs of others"));
  EXPECT_EQ(Code(Run("CHECK", Config())), 0);
  agent_.Answer("CHECK", absl::FailedPreconditionError("detached"));
  EXPECT_EQ(Code(Run("CHECK", Config())), kNotEnforced);
  agent_.Answer("CHECK", absl::NotFoundError("no such pod"));
  EXPECT_EQ(Code(Run("CHECK", Config())), kUnknownToAgent);
  agent_.Stop();
  run = Run("CHECK", Config());
  EXPECT_EQ(Code(run), kTryAgain);
}

TEST_F(PluginWithPod, InterfacesOfOtherKindsAreNamed) {
  StartAgent();
  const auto refused = [&](const std::string& ifname, const std::string& kind) {
    Variables environment = Environment("ADD");
    environment["CNI_IFNAME"] = ifname;
    const auto run = Run(environment, Config().dump());
    EXPECT_EQ(Code(run), kInterfaceNotUsable) << run.out;
    EXPECT_THAT(run.out, HasSubstr(kind));
  };
  const auto& inside = node_->netns(web());
  refused("lo", "the loopback interface");
  ASSERT_TRUE(inside.Ip("link add br0 type bridge\nlink add in0 type veth peer name in1\n").ok());
  refused("br0", "of kind bridge");
  refused("in0", "not in the host's network namespace");
  for (const char* kind : {"macvlan", "ipvlan", "netkit", "dummy"}) {
    const bool on_top = kind[0] == 'm' || kind[0] == 'i';
    const Status made =
        inside.Ip(std::string("link add ") + (on_top ? "link eth0 " : "") + "name other0 type " + kind + "\n");
    if (!made.ok()) {
      printf("missing in this kernel: %s\n", kind);
      continue;
    }
    refused("other0", std::string("of kind ") + kind);
    ASSERT_TRUE(inside.Ip("link del other0\n").ok());
  }
  Variables environment = Environment("ADD");
  environment["CNI_IFNAME"] = "eth9";
  EXPECT_EQ(Code(Run(environment, Config().dump())), kBadEnvironment);
  environment = Environment("ADD");
  environment["CNI_NETNS"] = "/run/netns/no-such";
  EXPECT_EQ(Code(Run(environment, Config().dump())), kBadEnvironment);
  directory_.Write("file", "");
  environment["CNI_NETNS"] = directory_.path("file");
  EXPECT_NE(Code(Run(environment, Config().dump())), 0);
  EXPECT_THAT(agent_.said(), IsEmpty());
}

TEST_F(PluginWithPod, WithoutAnAgentNoPodStarts) {
  const auto run = Run("ADD", Config());
  EXPECT_EQ(Code(run), kTryAgain);
  EXPECT_THAT(run.out, HasSubstr("does not answer at " + directory_.path("cni.sock")));
  EXPECT_THAT(run.out, HasSubstr("waited 0.3 s: pod shop/web-0"));
  EXPECT_THAT(run.out, HasSubstr("systemctl status sluice"));
  EXPECT_THAT(directory_.List("left/pending"), IsEmpty());
  EXPECT_TRUE(PodReaches());
}

TEST_F(PluginWithPod, AnAgentThatComesBackInTimeIsEnough) {
  json config = Config();
  config["timeout"] = 60;
  std::thread later([&] {
    std::this_thread::sleep_for(300ms);
    StartAgent();
  });
  const auto run = Run("ADD", config);
  later.join();
  EXPECT_EQ(Code(run), 0) << run.out;
  EXPECT_THAT(agent_.said(), ElementsAre("ADD shop/web-0 4f5e eth0"));
}

TEST_F(PluginWithPod, ABusyAgentIsAskedAgain) {
  StartAgent();
  agent_.Answer("ADD", absl::UnavailableError("it starts"));
  auto run = Run("ADD", Config());
  EXPECT_EQ(Code(run), kTryAgain);
  EXPECT_THAT(run.out, HasSubstr("it starts"));
  EXPECT_GT(agent_.said().size(), 1U);
}

TEST_F(PluginWithPod, AnAgentThatHangsIsNotWaitedForForLonger) {
  StartAgent();
  agent_.HoldAdds();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Code(Run("ADD", Config())), kTryAgain);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

// A server that answers with anything at all.
TEST_F(PluginWithPod, WhatIsNoAnswerIsNoneOfAnAgent) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, directory_.path("cni.sock").c_str());
  const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  for (const std::string& text : {std::string(), std::string("{"), std::string("{\"protocol\":1}"),
                                  std::string(R"({"protocol":9,"code":0})"), std::string(kMaxMessage + 9, 'x')}) {
    std::atomic<bool> done{false};
    std::thread server([&] {
      while (!done) {
        const Fd connection(accept(listener.get(), nullptr, nullptr));
        if (done) return;
        (void)SendMessage(connection.get(), text, Deadline::clock::now() + 5s);
      }
    });
    const auto run = Run("ADD", Config());
    EXPECT_EQ(Code(run), kTryAgain) << text.substr(0, 30) << run.out;
    EXPECT_EQ(Code(Run("DEL", Config())), 0);
    done = true;
    const Fd last(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(last.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    server.join();
  }
}

TEST_F(PluginWithPod, ClosedUntilTheAgentIsBack) {
  ASSERT_TRUE(PodReaches() && PodIsReached());
  const std::string routes = Routes();
  json config = Config();
  config["whenAgentAway"] = "closed";
  const auto run = Run("ADD", config);
  ASSERT_EQ(Code(run), 0) << run.out;
  EXPECT_EQ(json::parse(run.out), PrevResult("1.1.0"));
  EXPECT_THAT(run.err, HasSubstr("closed at " + web().host_interface));
  EXPECT_THAT(directory_.List("left/pending"), ElementsAre("4f5e@eth0"));
  EXPECT_FALSE(PodReaches());
  EXPECT_FALSE(PodIsReached());
  EXPECT_EQ(Routes(), routes) << "what the other plugin has set up stays";
  EXPECT_EQ(Code(Run("ADD", config)), 0) << "again";
  EXPECT_FALSE(PodReaches());

  agent_.Answer("ADD", absl::UnavailableError("it starts"));
  StartAgent([&](const Request& add) { return Open(add); });
  for (int i = 0; i < 500 && agent_.said().size() < 3; ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(PodReaches()) << "nothing is enforced yet";
  agent_.Answer("ADD", OkStatus());
  for (int i = 0; i < 500 && directory_.Has("left/pending/4f5e@eth0"); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_THAT(agent_.said(), Contains(fmt::format("OPEN {}", web().host_ifindex)));
  EXPECT_TRUE(PodReaches());
  EXPECT_TRUE(PodIsReached());
}

TEST_F(PluginWithPod, AClosedPodThatIsDeletedIsNoLongerPending) {
  json config = Config();
  config["whenAgentAway"] = "closed";
  ASSERT_EQ(Code(Run("ADD", config)), 0);
  EXPECT_EQ(Code(Run("DEL", config)), 0);
  EXPECT_THAT(directory_.List("left/pending"), IsEmpty());
  EXPECT_THAT(directory_.List("left/deleted"), ElementsAre("4f5e@eth0"));
  ASSERT_EQ(Code(Run("ADD", config)), 0);
  EXPECT_THAT(directory_.List("left/deleted"), IsEmpty()) << "what is there again was not deleted";
}

TEST_F(PluginWithPod, AClosedPodThatCannotBeLeftForTheAgentIsRefused) {
  json config = Config();
  config["whenAgentAway"] = "closed";
  config["directory"] = "/proc/no-such";
  const auto run = Run("ADD", config);
  EXPECT_EQ(Code(run), kIoFailure);
  EXPECT_THAT(run.out, HasSubstr("could not be left"));
}

TEST_F(PluginWithPod, CallsAreLogged) {
  StartAgent();
  json config = Config();
  config["log"] = directory_.path("log");
  EXPECT_EQ(Code(Run("ADD", config)), 0);
  agent_.Answer("ADD", absl::InternalError("no\nroom"));
  EXPECT_NE(Code(Run("ADD", config)), 0);
  EXPECT_EQ(Code(Run("DEL", config)), 0);
  const std::string log = directory_.Read("log");
  EXPECT_THAT(log, HasSubstr("Z ADD shop/web-0 4f5e eth0: ok\n"));
  EXPECT_THAT(log, HasSubstr("ADD shop/web-0 4f5e eth0: code 100: no room\n"));
  EXPECT_THAT(log, HasSubstr("Z DEL shop/web-0 4f5e eth0: ok\n"));
  config["log"] = "/proc/no-such/log";
  EXPECT_EQ(Code(Run("DEL", config)), 0) << "a log that cannot be written stops nothing";
  directory_.Write("log", std::string(5 << 20, 'x'));
  EXPECT_EQ(Code(Run("DEL", config)), 0);
  config["log"] = directory_.path("log");
  EXPECT_EQ(Code(Run("DEL", config)), 0);
  EXPECT_TRUE(directory_.Has("log.1"));
  EXPECT_FALSE(directory_.Has("log"));
}

}  // namespace
}  // namespace sluice::cni
