// By what ranks know a sequence.
#pragma once

namespace llamajit {

class Journal;

// What a sequence is known by in its cache's journal, where there is one: it follows what the sequence holds, and when
// that goes, it says so.
class JournaledName {
 public:
  explicit JournaledName(Journal* journal);
  JournaledName(JournaledName&& other) noexcept;
  JournaledName& operator=(JournaledName&& other) noexcept;  // swaps
  JournaledName(const JournaledName&) = delete;
  JournaledName& operator=(const JournaledName&) = delete;
  ~JournaledName();

  int number() const { return number_; }
  void cut(int length) const;
  void fork(const JournaledName& to, int length) const;

 private:
  Journal* journal_;
  int number_ = -1;
};

}  // namespace llamajit
