from aisle_client.v1 import classifier_pb2 as pb
from server.errors import status_reason
from server.inference.poison import PoisonedProducts, refusal
from tests.server.support import part_of, violations

POISON = pb.Product(product_id="1", product_name="shirt", image=b"deadly")


def test_a_poisoned_product_is_known_whatever_its_id():
    poisoned = PoisonedProducts()
    assert not poisoned
    assert not poisoned.holds(POISON)
    poisoned.add(POISON)
    assert poisoned
    assert poisoned.holds(pb.Product(product_id="2", product_name="shirt", image=b"deadly"))


def test_any_other_product_is_not_poisoned():
    poisoned = PoisonedProducts()
    poisoned.add(POISON)
    for other in (pb.Product(), pb.Product(product_name="shirt"), pb.Product(product_name="shirt", image=b"good")):
        assert not poisoned.holds(other)


def test_the_newest_are_remembered():
    poisoned = PoisonedProducts()
    for number in range(1001):
        poisoned.add(pb.Product(product_name=f"{number}"))
    assert not poisoned.holds(pb.Product(product_name="0"))
    assert poisoned.holds(pb.Product(product_name="1"))
    assert poisoned.holds(pb.Product(product_name="1000"))


def test_a_refusal_names_the_product_and_counts_it():
    answer = refusal(part_of([POISON], first_index=5), POISON)
    [classification] = pb.ClassifyResponse.FromString(answer.content).classifications
    assert classification.product_id == "1"
    assert status_reason(classification.error) == "POISONED_PRODUCT"
    assert violations(classification.error) == ["products[5]"]
    assert "ended two engine processes; leave it out" in classification.error.message
    assert answer.error_counts == {"POISONED_PRODUCT": 1}
