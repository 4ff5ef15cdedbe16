// Interfaces that appear during a change are closed at once, and the change then leaves them at least closed.
#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "tests/unit/reconcile/controller_world.h"

namespace sluice::reconcile {
namespace {

using namespace std::chrono_literals;

class NewInterfaces : public ControllerTest {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Restart().ok());
    Plug("web", 11);
    Plug("db", 12);
    ASSERT_TRUE(Apply(Workload("web", "10.0.0.1") + Workload("db", "10.0.0.2")).ok());
  }

  // A change that waits at the point set by `waits`, until `meanwhile` has finished.
  void Meanwhile(const std::function<void(std::function<void()>)>& waits, const std::function<void()>& change,
                 const std::function<void()>& meanwhile) {
    std::promise<void> begun, go_on;
    std::shared_future<void> may_go_on = go_on.get_future().share();
    std::atomic<bool> first = true;
    waits([&] {
      if (!first.exchange(false)) return;
      begun.set_value();
      may_go_on.wait();
    });
    std::thread changer(change);
    begun.get_future().wait();
    auto done = std::async(std::launch::async, meanwhile);
    EXPECT_EQ(done.wait_for(10s), std::future_status::ready) << "it waits for the change";
    go_on.set_value();
    changer.join();
    done.wait();
    waits(nullptr);
  }
  void WhileCommitting(const std::function<void()>& change, const std::function<void()>& meanwhile) {
    Meanwhile([this](std::function<void()> wait) { datapath_.WhileCommitting(std::move(wait)); }, change, meanwhile);
  }
};

TEST_F(NewInterfaces, OneIsClosedWhileAChangeIsCommitted) {
  WhileCommitting([this] { EXPECT_TRUE(Apply(Policy("closed")).ok()); },
                  [this] {
                    Plug("web", 21);
                    EXPECT_EQ(controller_->CloseNewInterfaces(), 1);
                    EXPECT_TRUE(IsClosed(21));
                    EXPECT_EQ(controller_->CloseNewInterfaces(), 0) << "once";
                  });
  EXPECT_TRUE(IsClosed(21)) << "the change that did not know it lets nothing go";
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(21));
  EXPECT_FALSE(datapath_.pods().contains(11));
}

TEST_F(NewInterfaces, OneIsClosedWhileAChangeIsSaved) {
  Meanwhile([this](std::function<void()> wait) { while_saving_ = std::move(wait); },
            [this] { EXPECT_TRUE(Apply(Policy("closed")).ok()); },
            [this] {
              Plug("web", 21);
              EXPECT_EQ(controller_->CloseNewInterfaces(), 1);
              EXPECT_TRUE(IsClosed(21));
            });
  EXPECT_TRUE(IsClosed(21));
}

TEST_F(NewInterfaces, OneThatTheDirectoryIsJustBringingIsClosedToo) {
  WhileCommitting(
      [this] { EXPECT_TRUE(controller_->SetDirectory(Map(Workload("cache", "10.0.0.3") + Policy("closed"))).ok()); },
      [this] {
        Plug("cache", 13);
        EXPECT_EQ(controller_->CloseNewInterfaces(), 1);
        EXPECT_TRUE(IsClosed(13));
      });
  EXPECT_TRUE(IsClosed(13));
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(13));
}

TEST_F(NewInterfaces, AChangeThatLooksAtNoInterfaceLetsNoneGo) {
  Plug("web", 21);
  ASSERT_EQ(controller_->CloseNewInterfaces(), 1);
  ASSERT_TRUE(Apply(Policy("closed")).ok());
  EXPECT_TRUE(IsClosed(21));
  EXPECT_TRUE(saved_.released_interfaces.empty());
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(21));
}

// The change found the interface itself, and wrote all facts about it to the kernel.
TEST_F(NewInterfaces, WhatTheChangeSaysOfItStays) {
  Plug("web", 21);
  WhileCommitting([this] { EXPECT_TRUE(controller_->Refresh().ok()); },
                  [this] {
                    EXPECT_TRUE(IsClosed(21));
                    controller_->CloseNewInterfaces();
                    EXPECT_TRUE(IsClosed(21));
                  });
  EXPECT_TRUE(IsEnforced(21)) << "with its facts";
  EXPECT_TRUE(IsEnforced(12));
}

TEST_F(NewInterfaces, OneStaysClosedWhenTheChangeThatFoundItFails) {
  for (const bool closed_before : {true, false}) {
    const std::uint32_t ifindex = closed_before ? 21 : 22;
    Plug("web", ifindex);
    if (closed_before) {
      ASSERT_EQ(controller_->CloseNewInterfaces(), 1);
    }
    datapath_.FailNext("Commit", InvalidError("map peers is full"));
    ASSERT_FALSE(controller_->Refresh().ok());
    EXPECT_TRUE(IsClosed(ifindex));
  }
  ASSERT_TRUE(controller_->Refresh().ok());
  EXPECT_TRUE(IsEnforced(22));
  EXPECT_FALSE(datapath_.pods().contains(21));
}

TEST_F(NewInterfaces, OneWhoseWorkloadIsDeletedMeanwhileIsLetGo) {
  WhileCommitting([this] { EXPECT_TRUE(controller_->Delete({WorkloadId("web")}).ok()); },
                  [this] {
                    Plug("web", 21);
                    EXPECT_EQ(controller_->CloseNewInterfaces(), 1);
                  });
  EXPECT_FALSE(datapath_.pods().contains(21));
  EXPECT_FALSE(datapath_.pods().contains(11));
  EXPECT_EQ(controller_->CloseNewInterfaces(), 0) << "nobody wants it";
}

// Changes of all kinds, while pods appear and disappear: once CloseNewInterfaces has seen one, it is never open.
TEST_F(NewInterfaces, NoneIsOpenHoweverTheyMeet) {
  std::atomic<bool> stop = false;
  std::thread changer([&] {
    std::mt19937 random(1);
    for (int i = 0; !stop; ++i) {
      const int fails = static_cast<int>(random() % 8);
      if (fails == 0) datapath_.FailNext("Commit", InvalidError("map peers is full"));
      switch (random() % 3) {
        case 0:
          (void)Apply(Policy("closed", fmt::format("podSelector: {{matchLabels: {{app: x{}}}}}", i % 5)));
          break;
        case 1:
          (void)controller_->Refresh();
          break;
        default:
          (void)controller_->SetDirectory(Map(Policy(fmt::format("of-directory-{}", i % 3))));
      }
    }
  });
  std::thread refresher([&] {
    while (!stop) (void)controller_->Refresh();
  });
  for (std::uint32_t i = 0; i < 400 && !HasFailure(); ++i) {
    const std::uint32_t ifindex = 100 + i;
    Plug(i % 2 == 0 ? "web" : "db", ifindex);
    controller_->CloseNewInterfaces();
    for (int look = 0; look < 3; ++look) {
      EXPECT_TRUE(datapath_.pods().contains(ifindex)) << i;
      std::this_thread::yield();
    }
  }
  stop = true;
  changer.join();
  refresher.join();
  for (int i = 0; i < 10000 && !controller_->Refresh().ok(); ++i) {  // until all injected failures are used up
  }
  EXPECT_TRUE(IsEnforced(498));
  EXPECT_TRUE(IsEnforced(499));
  EXPECT_EQ(datapath_.pods().size(), 2U);
}

}  // namespace
}  // namespace sluice::reconcile
