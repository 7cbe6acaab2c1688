// Ranks over MPI.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include <mpi.h>

#include "runtime/base/ranks.h"

namespace llamajit::cli {

class MpiRanks : public Ranks {
 public:
  // After MPI_Init_thread(), with MPI_THREAD_SERIALIZED at least. All ranks make one. Whoever hears nothing from a rank
  // for so long, where something must come, says which it is on standard error and ends all.
  explicit MpiRanks(std::chrono::seconds patience);
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;
  // Before MPI_Finalize(): what was told last has left.
  ~MpiRanks() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void gather(std::span<std::byte> all, std::span<const std::size_t> ends) override;
  void gather_at_first(std::span<std::byte> all, std::span<const std::size_t> ends) override;
  void tell(std::span<const std::int32_t> words) override;
  std::vector<std::int32_t> hear() override;

  const std::vector<std::string>& hosts() const { return hosts_; }
  int local_rank() const { return local_rank_; }  // among those of this machine
  int local_size() const { return local_size_; }
  // Whether others need the CPU on which this rank waits.
  void set_crowded(bool crowded) { crowded_ = crowded; }
  // The next gather may take so long as the ranks' loading of a model does.
  void expect_loading() { loading_ = true; }

  // Says what happened on standard error and ends all ranks.
  [[noreturn]] void fail(const std::string& what) override;

 private:
  struct Message {
    std::vector<std::int32_t> words;
    std::vector<MPI_Request> requests;
  };
  void exchange(std::span<std::byte> all, std::span<const std::size_t> ends, bool receives, bool sends);
  void receive(int from, std::byte* to, std::size_t bytes);
  void send(int to, const std::byte* from, std::size_t bytes);
  // Until all of requests_ are done, whose other ends are peers_.
  void wait();
  [[noreturn]] void give_up();
  void check(int code, const char* what);
  std::string name_of(int rank) const;

  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
  std::vector<std::string> hosts_;
  std::chrono::seconds patience_;
  bool crowded_ = false;
  bool loading_ = true;
  std::vector<MPI_Request> requests_;
  std::vector<int> peers_;
  std::list<Message> told_;
};

}  // namespace llamajit::cli
