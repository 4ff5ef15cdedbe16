// A few fake agents, and the nodes that know them.
#pragma once

#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "ctrl/relay/nodes.h"
#include "tests/unit/relay/events.h"
#include "tests/unit/relay/fake_node.h"

namespace sluice::cluster {

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string directory = "/tmp/sluice-relay-XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
  }
  ~ClusterTest() override {
    nodes_.reset();
    agents_.clear();
    std::filesystem::remove_all(directory_);
  }

  std::string AddressOf(const std::string& name) const { return "unix://" + directory_ + "/" + name + ".sock"; }
  FakeNode& StartAgent(const std::string& name) {
    agents_.push_back(std::make_unique<FakeNode>(name, AddressOf(name)));
    return *agents_.back();
  }
  static Nodes::Options Quick() {
    return {.tls = {},
            .most = 8,
            .interval = std::chrono::milliseconds(200),
            .first_pause = std::chrono::milliseconds(20),
            .patience = std::chrono::milliseconds(500)};
  }
  Nodes& Know(const std::vector<std::string>& names) {
    if (!nodes_) nodes_ = std::make_unique<Nodes>(Quick());
    std::vector<NodeAddress> addresses;
    for (const std::string& name : names) addresses.push_back({.name = "", .address = AddressOf(name)});
    nodes_->Set(addresses, "the test");
    return *nodes_;
  }
  static bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool AwaitConnected(std::size_t count) const {
    return Eventually([&] { return nodes_->connected().size() == count; });
  }

  std::string directory_;
  std::vector<std::unique_ptr<FakeNode>> agents_;
  std::unique_ptr<Nodes> nodes_;
};

}  // namespace sluice::cluster
