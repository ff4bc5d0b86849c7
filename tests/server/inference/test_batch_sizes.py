from server.inference.batch_sizes import BatchSizes


def test_batches_are_counted_by_the_power_of_two_that_holds_them():
    sizes = BatchSizes(max_items=6)
    for num_items in (1, 2, 3, 4, 5, 6):
        sizes.add(num_items)
    assert sizes.totals() == ({1: 1, 2: 1, 4: 2, 8: 2}, 21)


def test_a_batch_above_the_most_counts_in_the_last_one():
    sizes = BatchSizes(max_items=1)
    sizes.add(64)
    assert sizes.totals() == ({1: 1}, 64)
