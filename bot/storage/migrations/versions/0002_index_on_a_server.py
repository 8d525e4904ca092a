
"""Statistics of an index on a server; whether an exchange was answered by reduced search."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('index_term',
    sa.Column('generation_id', sa.Integer(), nullable=False),
    sa.Column('field', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('term', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('chunks', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['generation_id'], ['generation.id'], ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('generation_id', 'field', 'term')
    )
    for name in ('chunks', 'stem_terms', 'gram_terms'):
        op.add_column('generation', sa.Column(name, sa.Integer(), nullable=False, server_default='0'))
    op.add_column('generation', sa.Column('behind', sa.JSON(), nullable=False, server_default='[]'))
    op.add_column('exchange', sa.Column('is_reduced', sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_table('index_term')
    with op.batch_alter_table('generation', schema=None) as batch_op:
        for name in ('chunks', 'stem_terms', 'gram_terms', 'behind'):
            batch_op.drop_column(name)
    with op.batch_alter_table('exchange', schema=None) as batch_op:
        batch_op.drop_column('is_reduced')
